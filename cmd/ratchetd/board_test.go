package main

import (
	"bytes"
	"errors"
	"fmt"
	"maps"
	"os"
	"os/exec"
	"path/filepath"
	"strconv"
	"strings"
	"syscall"
)

// A board has two slots and U-Boot, as scripts/firmware/uboot wants them: files
// stand for the partitions and for the environment. What U-Boot does at a boot,
// boot does.
type board struct {
	dir   string // of its files
	etc   string // of the device's configuration
	tools string // where fw_printenv and fw_setenv are
}

var errBricked = errors.New("bricked: the slot that is booted does not run, and U-Boot tries no other")

func (b *board) path(name string) string { return filepath.Join(b.dir, name) }

// firmwareImage is one that says of itself what it is like.
func firmwareImage(version, is string, size int) []byte {
	image := fmt.Appendf(nil, "version %s\n%s\n", version, is)
	return append(image, bytes.Repeat([]byte("x"), size-len(image))...)
}

// newBoard is a board that runs 1.0 in slot A; slot B is empty.
func newBoard(dir, etc, tools string, size int) (*board, error) {
	b := &board{dir: dir, etc: etc, tools: tools}
	script, err := filepath.Abs("../../scripts/firmware/uboot")
	if err != nil {
		return nil, err
	}
	files := map[string]string{
		b.path("a"): string(firmwareImage("1.0", "good", size)), b.path("b"): strings.Repeat("\x00", size),
		b.path("fw_env.config"): b.path("env") + " 0x0 0x2000\n", b.path("env"): "", b.path("verbs"): "",
		filepath.Join(etc, "firmware.conf"): fmt.Sprintf(
			"PATH=%s:$PATH\nBOARD=test\nSLOT_A=%s\nSLOT_B=%s\nVERSION_FILE=%s\nCMDLINE=%s\nFW_ENV=%s\n",
			tools, b.path("a"), b.path("b"), b.path("version"), b.path("cmdline"), b.path("fw_env.config")),
		filepath.Join(etc, "uboot"): "", // the script finds its configuration beside itself
		filepath.Join(etc, "firmware"): fmt.Sprintf("#!/bin/sh\necho \"$1\" >> %[1]s\n[ \"$2\" != - ] || echo stream >> %[1]s\nexec %[2]s \"$@\"\n",
			b.path("verbs"), filepath.Join(etc, "uboot")),
	}
	errs := []error{os.MkdirAll(dir, 0o755), os.MkdirAll(etc, 0o700)}
	for _, path := range sortedKeys(files) {
		errs = append(errs, os.WriteFile(path, []byte(files[path]), 0o755))
	}
	text, err := os.ReadFile(script)
	errs = append(errs, err, os.WriteFile(filepath.Join(etc, "uboot"), text, 0o755))
	if tools == "/usr/bin" { // the real ones want a real environment, and a second copy of it
		errs = append(errs, b.realEnvironment())
	}
	errs = append(errs, b.set(map[string]string{"boot_slot": "A", "upgrade_available": "0", "bootcount": "0", "bootlimit": "3"}), b.boot())
	return b, errors.Join(errs...)
}

func (b *board) realEnvironment() error {
	conf := fmt.Sprintf("%s 0x0 0x2000\n%s 0x0 0x2000\n", b.path("env"), b.path("env2"))
	empty := make([]byte, 0x2000)
	err := errors.Join(os.WriteFile(b.path("fw_env.config"), []byte(conf), 0o644), os.WriteFile(b.path("default"), []byte("arch=test\n"), 0o644),
		os.WriteFile(b.path("env"), empty, 0o644), os.WriteFile(b.path("env2"), empty, 0o644))
	if err == nil {
		err = exec.Command("/usr/bin/fw_setenv", "-c", b.path("fw_env.config"), "-f", b.path("default"), "-s", b.path("default")).Run()
	}
	return err
}

func (b *board) env() (map[string]string, error) {
	out, err := exec.Command(filepath.Join(b.tools, "fw_printenv"), "-c", b.path("fw_env.config")).Output()
	env := map[string]string{}
	for line := range strings.Lines(string(out)) {
		name, value, _ := strings.Cut(strings.TrimSpace(line), "=")
		env[name] = value
	}
	return env, err
}

func (b *board) set(values map[string]string) error {
	cmd := exec.Command(filepath.Join(b.tools, "fw_setenv"), "-c", b.path("fw_env.config"), "-s", "-")
	var script strings.Builder
	for _, name := range sortedKeys(values) {
		fmt.Fprintf(&script, "%s=%s\n", name, values[name])
	}
	cmd.Stdin = strings.NewReader(script.String())
	return cmd.Run()
}

// boot is the power coming on, and the reset button of what does not come up.
func (b *board) boot() error {
	for range 10 {
		env, err := b.env()
		if err != nil {
			return fmt.Errorf("reading the environment: %w", err)
		}
		if env["upgrade_available"] == "1" {
			if err := b.count(env); err != nil {
				return err
			}
		}
		version, is := b.slot(env["boot_slot"])
		if is == "good" || is == "deaf" {
			return errors.Join(os.WriteFile(b.path("cmdline"), []byte("quiet ratchet.slot="+env["boot_slot"]), 0o644),
				os.WriteFile(b.path("version"), []byte(version+"\n"), 0o644), os.WriteFile(b.path("is"), []byte(is), 0o644))
		}
		if env["upgrade_available"] != "1" {
			return errBricked
		}
	}
	return errors.New("it boots for ever")
}

// count is U-Boot's bootcount, and its altbootcmd.
func (b *board) count(env map[string]string) error {
	n, _ := strconv.Atoi(env["bootcount"])
	env["bootcount"] = strconv.Itoa(n + 1)
	if limit, _ := strconv.Atoi(env["bootlimit"]); n+1 > limit {
		env["boot_slot"] = map[string]string{"A": "B", "B": "A"}[env["boot_slot"]]
		env["upgrade_available"], env["bootcount"] = "0", "0"
	}
	changed := maps.Clone(env)
	maps.DeleteFunc(changed, func(name, _ string) bool {
		return name != "boot_slot" && name != "bootcount" && name != "upgrade_available"
	})
	return b.set(changed)
}

// slot reads what lies in a slot: a version, and what it is like.
func (b *board) slot(name string) (version, is string) {
	text, _ := os.ReadFile(b.path(strings.ToLower(name))) // none: it does not run
	first, rest, _ := strings.Cut(string(text[:min(len(text), 100)]), "\n")
	is, _, _ = strings.Cut(rest, "\n")
	if len(text) == 0 || text[len(text)-1] != 'x' { // half of it
		is = "half"
	}
	return strings.TrimPrefix(first, "version "), is
}

// endJob kills what a power cut would: all that the agent has started for a job.
func endJob(id string) {
	for alive := true; alive; {
		alive = false
		dirs, _ := filepath.Glob("/proc/[0-9]*/environ")
		for _, file := range dirs {
			env, err := os.ReadFile(file)
			pid, _ := strconv.Atoi(filepath.Base(filepath.Dir(file)))
			if err == nil && bytes.Contains(env, []byte("RATCHET_JOB="+id+"\x00")) && !zombie(pid) {
				alive = true
				_ = syscall.Kill(pid, syscall.SIGKILL)
			}
		}
	}
}

func zombie(pid int) bool {
	text, err := os.ReadFile(fmt.Sprintf("/proc/%d/stat", pid))
	return err != nil || bytes.Contains(text, []byte(") Z "))
}
