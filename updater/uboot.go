package updater

import (
	"context"
	"errors"
	"fmt"
	"maps"
	"regexp"
	"slices"
	"strings"
)

// environmentConf says where U-Boot's tools find the environment.
const environmentConf = "/etc/fw_env.config"

// uboot is the environment of the boot loader U-Boot.
type uboot struct{ *Board }

func (u uboot) there() bool { return u.program("fw_printenv") != "" && u.program("fw_setenv") != "" }

// An Environment is the variables of a boot loader.
type Environment map[string]string

// ParseEnvironment reads what String gives, and what U-Boot's tools print.
func ParseEnvironment(text string) Environment {
	env := Environment{}
	for line := range strings.Lines(text) {
		if name, value, ok := strings.Cut(strings.TrimRight(line, "\n"), "="); ok {
			env[name] = value
		}
	}
	return env
}

// String is a line for each variable, as fw_setenv of libubootenv takes them in a script.
func (e Environment) String() string {
	var text strings.Builder
	for _, name := range slices.Sorted(maps.Keys(e)) {
		fmt.Fprintf(&text, "%s=%s\n", name, e[name])
	}
	return text.String()
}

// counters are the variables by which a boot is counted and a trial noted: they change
// by themselves, and choose no slot.
var counters = []string{"ustate", "upgrade_available", "bootcount", "recovery_status"}

// Chosen are the variables that are not as in before, those that count boots aside:
// what an update has changed there, which chooses the slot that boots.
func (e Environment) Chosen(before Environment) Environment {
	chosen := Environment{}
	for name, value := range e {
		if was, had := before[name]; (!had || was != value) && !slices.Contains(counters, name) {
			chosen[name] = value
		}
	}
	return chosen
}

// Lost are the names of those of want that do not have its value in e.
func (e Environment) Lost(want Environment) (lost []string) {
	for _, name := range slices.Sorted(maps.Keys(want)) {
		if e[name] != want[name] {
			lost = append(lost, name)
		}
	}
	return lost
}

// Undone are the names of those of chosen that are gone, or have the value that they had
// before again. What has a third one the boot loader counts, as tries that are left.
func (e Environment) Undone(chosen, before Environment) (undone []string) {
	for _, name := range e.Lost(chosen) {
		is, there := e[name]
		if was, had := before[name]; !there || had && is == was {
			undone = append(undone, name)
		}
	}
	return undone
}

// usesDefault is what the tools say when they cannot read the environment. They print
// one that they were built with, or find in a file, and end well; what is written then
// takes the place of the real one.
var usesDefault = regexp.MustCompile(`(?i)\bdefault\b|bad crc`)

// errUnread is an environment that must not be written, for it was not read.
var errUnread = errors.New("the boot loader's environment was not read, so it is not written either: see " + environmentConf + ", and where the board has never saved one, run saveenv in U-Boot")

// read returns the variables that are set. It prints all of them: asked for one that
// is missing, U-Boot's own tool fails and libubootenv's does not.
func (u uboot) read(ctx context.Context) (Environment, error) {
	if u.Run == nil {
		return nil, errUnread
	}
	a, err := u.Run(ctx, Call{Argv: []string{u.program("fw_printenv")}})
	switch {
	case err == nil && a.Code != 0:
		err = fmt.Errorf("exit status %d", a.Code)
	case err == nil && usesDefault.MatchString(a.Err):
		err = errUnread
	case err == nil && len(a.Out) >= MaxAnswer:
		err = fmt.Errorf("it has %d bytes or more: %w", MaxAnswer, errUnread)
	}
	env := ParseEnvironment(a.Out)
	if err == nil && len(env) == 0 {
		err = fmt.Errorf("it is empty: %w", errUnread)
	}
	switch {
	case err == nil:
		return env, nil
	case a.Said != "":
		err = fmt.Errorf("%w (%s)", err, a.Said)
	}
	return nil, fmt.Errorf("fw_printenv: %w", err)
}

// environment reads the environment of a board that has one: no backend may write
// through tools that show a default in its place. Without one it is nil.
func (u uboot) environment(ctx context.Context) (Environment, error) {
	if !u.there() || !u.has(environmentConf) {
		return nil, nil
	}
	return u.read(ctx)
}

// set changes all the variables in one write, and reads them back: either of
// the two tools reports success for a script in the form of the other.
func (u uboot) set(ctx context.Context, values Environment) error {
	want, err := u.read(ctx)
	if err != nil {
		return err
	}
	maps.Copy(want, values)
	var lost []string
	for _, form := range []string{"%s=%s\n", "%s %s\n"} {
		var script strings.Builder
		for _, name := range slices.Sorted(maps.Keys(values)) {
			fmt.Fprintf(&script, form, name, values[name])
		}
		_, err := u.do(ctx, Call{Argv: []string{u.program("fw_setenv"), "-s", "-"}, Stdin: strings.NewReader(script.String())})
		if err != nil {
			return err
		}
		now, err := u.read(ctx)
		if err != nil {
			return err
		}
		if lost = now.Lost(want); len(lost) == 0 {
			return nil
		}
	}
	return fmt.Errorf("fw_setenv reports success, and fw_printenv does not show %s: see %s", strings.Join(lost, ", "), environmentConf)
}

// counts reports whether the boot loader counts boots in this environment, where they
// can be reset. Others count in RAM or in a register, and nothing here resets that.
func (e Environment) counts() bool {
	_, trial := e["upgrade_available"]
	_, count := e["bootcount"]
	return trial || count
}

// Uncounted says that the boot loader has not counted the boot on trial here; empty:
// it has, or it is on no trial.
func (e Environment) Uncounted() string {
	if e["upgrade_available"] != "1" || e["bootcount"] != "" && e["bootcount"] != "0" {
		return ""
	}
	return "U-Boot has not counted the boot of the new system in its environment: a count in RAM or in a register is not reset by this, and may take back a system that is final; see CONFIG_BOOTCOUNT_ENV"
}

// whyNoWayBack says why the boot loader leaves no system that fails; empty: it does.
func (e Environment) whyNoWayBack() string {
	switch {
	case e["bootlimit"] == "" || e["altbootcmd"] == "":
		return "its U-Boot environment has no bootlimit or no altbootcmd"
	case !e.counts():
		return "U-Boot does not count boots in its environment (upgrade_available, bootcount) but in RAM, in a register or not at all: nothing here can make a system final, or have it left"
	}
	return ""
}

// pending says that the running system is on trial.
func (u uboot) pending(ctx context.Context) (string, error) {
	now, err := u.environment(ctx)
	if err != nil {
		return "", err
	}
	if v := now["upgrade_available"]; v != "" && v != "0" {
		return "U-Boot has a system on trial: upgrade_available is " + v, nil
	}
	return "", nil
}

// confirm ends the boot loader's own trial, by those of its variables that the
// board uses.
func (u uboot) confirm(ctx context.Context) error {
	now, err := u.read(ctx)
	if err != nil {
		return err
	}
	if !now.counts() {
		return errors.New(now.whyNoWayBack())
	}
	want := Environment{}
	for _, name := range []string{"ustate", "upgrade_available", "bootcount"} {
		if v, ok := now[name]; ok && v != "0" {
			want[name] = "0"
		}
	}
	if len(want) == 0 {
		return nil
	}
	return u.set(ctx, want)
}

// giveUp makes the boot loader believe that the running system was tried too
// often, so that at the next boot it runs altbootcmd.
func (u uboot) giveUp(ctx context.Context) error {
	now, err := u.read(ctx)
	if err != nil {
		return err
	}
	if now["bootlimit"] == "" || now["altbootcmd"] == "" {
		return fmt.Errorf("the boot loader has no bootlimit or no altbootcmd: it cannot be told to go back")
	}
	return u.set(ctx, Environment{"upgrade_available": "1", "bootcount": now["bootlimit"]})
}
