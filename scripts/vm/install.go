package main

import (
	"context"
	"crypto/sha256"
	_ "embed"
	"errors"
	"fmt"
	"io"
	"os"
	"os/exec"
	"path/filepath"
	"strings"
	"time"

	"github.com/ratchetd/ratchet/scripts/vm/machine"
)

//go:embed guest/install.sh
var installScript string

// playInstall runs install.sh where systemd really is: it installs, the device is
// enrolled, upgraded in a step, rebooted, and rid of all that.
func playInstall(ctx context.Context, p *place, out io.Writer) (err error) {
	if os.Getuid() != 0 {
		fmt.Fprintln(out, "skipped: install: debootstrap wants root")
		return nil
	}
	g := &gateway{place: p, root: filepath.Join(p.dir, "root")}
	if g.broker, err = startBroker(); err != nil {
		return err
	}
	if err := errors.Join(g.base(), g.release("release-1", ""), g.release("release-2", "a newer one")); err != nil {
		return err
	}
	err = g.configure(map[string]string{
		"session.sh": installScript,
		"etc/systemd/system/session.service": fmt.Sprintf("[Unit]\nAfter=systemd-networkd.service\n[Service]\nType=oneshot\nEnvironment=BROKER=tcp://10.0.2.2:%d DEVICE=%s\n"+
			"ExecStart=/bin/sh /session.sh\n[Install]\nWantedBy=multi-user.target\n", g.port, device),
	}, "session")
	if err != nil {
		return err
	}
	if err := g.make(); err != nil {
		return err
	}
	return g.play(ctx, out, g.installed, g.upgraded, g.rebooted, g.removed)
}

// release puts one into the root. What is added behind a program does not change
// what it does, and makes it another one.
func (g *gateway) release(name, behind string) error {
	dir := filepath.Join(g.root, name)
	if err := os.MkdirAll(dir, 0o755); err != nil {
		return err
	}
	var sums strings.Builder
	for to, from := range map[string]string{
		"ratchetd-linux-amd64": filepath.Join(g.built, "ratchetd-linux-amd64"), "install.sh": "scripts/install.sh",
		"ratchetd-start": "scripts/openwrt/ratchetd-start", "ratchetd.service": "scripts/systemd/ratchetd.service"} {
		text, err := os.ReadFile(from)
		if err != nil {
			return fmt.Errorf("%w: make dist/ratchetd-linux-amd64 builds the program", err)
		}
		if to == "ratchetd-linux-amd64" {
			text = append(text, behind...)
		}
		if err := os.WriteFile(filepath.Join(dir, to), text, 0o755); err != nil {
			return err
		}
		fmt.Fprintf(&sums, "%x  %s\n", sha256.Sum256(text), to)
	}
	return os.WriteFile(filepath.Join(dir, "SHA256SUMS"), []byte(sums.String()), 0o644)
}

func (g *gateway) installed(ctx context.Context) (row, error) {
	began := time.Now()
	s, err := g.run(ctx, g.machine, "installed",
		shell("said", ready+"grep -E '^(install.sh|every|next)' /installed"),
		shell("system", "systemctl is-active ratchetd; systemctl is-enabled ratchetd; systemctl show -p FragmentPath --value ratchetd; readlink /proc/$(systemctl show -p MainPID --value ratchetd)/exe"),
		shell("again", "sh /release-1/install.sh | tail -n 1"))
	text := fmt.Sprintf("%s, %.0f s: %s; again: %s", s.State, time.Since(began).Seconds(), flat(s.output("system")), flat(s.output("again")))
	for step, want := range map[string]string{
		"said":   "next: systemctl reload ratchetd",
		"system": "active enabled /etc/systemd/system/ratchetd.service /usr/local/bin/ratchetd",
		"again":  "install.sh: nothing was changed: all is as it should be"} {
		if err == nil && !strings.Contains(flat(s.output(step)), want) {
			err = fmt.Errorf("%s: want %s: %s", step, want, s.output(step))
		}
	}
	return row{"installed and enrolled", text}, err
}

// upgraded has the newer release's install.sh run in a step, which starts the agent again.
func (g *gateway) upgraded(ctx context.Context) (row, error) {
	s, err := g.run(ctx, g.machine, "upgraded",
		shell("arm", "systemd-run --quiet --on-active=3 sh -c 'sh /release-2/install.sh >/upgraded 2>&1'"),
		shell("upgrade", "[ -e /begun ] || { touch /begun; sleep 60; }; "+ready+"cat /upgraded"),
		shell("after", "cmp /proc/$(systemctl show -p MainPID --value ratchetd)/exe /release-2/ratchetd-linux-amd64 && systemctl show -p NRestarts --value ratchetd; systemctl is-active ratchetd"))
	text := fmt.Sprintf("%s: %s; %s; %s", s.State, flat(s.output("upgrade")), flat(s.output("after")), attempts(s))
	if err == nil && (s.State != "succeeded" || flat(s.output("after")) != "0 active" || s.Steps[1].Attempts != 2) {
		err = errors.New(text)
	}
	return row{"upgraded in a step", text}, err
}

func (g *gateway) rebooted(ctx context.Context) (row, error) {
	s, err := g.run(ctx, g.machine, "rebooted", step("reboot", "reboot", map[string]any{}), shell("after", ready+"systemctl is-active ratchetd"))
	text := fmt.Sprintf("%s: %s", s.State, flat(s.output("after")))
	if err == nil && text != "succeeded: active" {
		err = errors.New(text)
	}
	return row{"reboots", text}, err
}

// removed has the last job take all away, and looks at the disk then.
func (g *gateway) removed(ctx context.Context) (row, error) {
	const uninstall = "sh /release-2/install.sh --uninstall --purge >/removed 2>&1; systemctl is-active ratchetd >>/removed; " +
		"find /usr/local /etc /var/lib /run -name '*ratchet*' >>/removed; sync; systemctl poweroff"
	if _, err := g.offer("removed", []any{shell("removed", "systemd-run --quiet --on-active=3 sh -c '"+uninstall+"'")}); err != nil {
		return row{}, err
	}
	r, err := g.machine.On()
	if err != nil {
		return row{}, err
	}
	select {
	case <-r.Done:
	case <-ctx.Done():
		r.Off()
		return row{}, context.Cause(ctx)
	}
	said, err := machine.Output(exec.Command("debugfs", "-R", "cat /removed", filepath.Join(g.dir, "disk")))
	state, left, _ := strings.Cut(said, "\ninactive\n")
	text := fmt.Sprintf("%s; left: %s", flat(strings.ReplaceAll(state, "install.sh: ", "")), flat(left))
	if err == nil && (left != "" || !strings.Contains(state, "removed /var/lib/ratchet")) {
		err = errors.New(text)
	}
	return row{"removed", text}, err
}
