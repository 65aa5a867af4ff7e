package updater

import (
	"context"
	"fmt"
	"maps"
	"slices"
	"strings"
)

// uboot is the environment of the boot loader U-Boot.
type uboot struct{ *Board }

func (u uboot) there() bool { return u.program("fw_printenv") != "" && u.program("fw_setenv") != "" }

// read returns the variables that are set. It prints all of them: asked for one that
// is missing, U-Boot's own tool fails and libubootenv's does not.
func (u uboot) read(ctx context.Context) (map[string]string, error) {
	out, err := u.ask(ctx, u.program("fw_printenv"))
	if err != nil {
		return nil, err
	}
	env := map[string]string{}
	for line := range strings.Lines(out) {
		if name, value, ok := strings.Cut(strings.TrimRight(line, "\n"), "="); ok {
			env[name] = value
		}
	}
	return env, nil
}

// set changes all the variables in one write, and reads them back: either of
// the two tools reports success for a script in the form of the other.
func (u uboot) set(ctx context.Context, values map[string]string) error {
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
		if u.shows(now, values) {
			return nil
		}
	}
	return fmt.Errorf("fw_setenv reports success, and fw_printenv does not show %s: see /etc/fw_env.config", strings.Join(slices.Sorted(maps.Keys(values)), ", "))
}

func (u uboot) shows(now, values map[string]string) bool {
	for name, value := range values {
		if now[name] != value {
			return false
		}
	}
	return true
}

// confirm ends the boot loader's own trial, by those of its variables that the
// board uses.
func (u uboot) confirm(ctx context.Context) error {
	now, err := u.read(ctx)
	if err != nil {
		return err
	}
	want := map[string]string{}
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
	return u.set(ctx, map[string]string{"upgrade_available": "1", "bootcount": now["bootlimit"]})
}
