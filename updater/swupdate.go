package updater

import (
	"context"
	"errors"
	"fmt"
	"regexp"
	"slices"
	"strings"
)

// A swupdate hands the image to the service of SWUpdate, whose own configuration
// says which software selection and which keys it takes. Going back is the boot
// loader's work, which U-Boot can be asked to do.
type swupdate struct{ *Board }

func (b swupdate) found() bool {
	return b.program("swupdate-client") != "" && slices.ContainsFunc(
		[]string{"/tmp/sockinstctrl", "/run/swupdate/sockinstctrl"}, b.has)
}

func (b swupdate) backend(ctx context.Context) (*Backend, error) {
	env := uboot(b)
	back := &Backend{
		Name: "swupdate", Why: "SWUpdate has no U-Boot environment here",
		State: b.state, Install: b.install,
		Test: func(ctx context.Context, i Image) error {
			return b.client(ctx, Call{Argv: []string{"-v", "-d", i.Path}}, nil)
		},
	}
	if !env.there() {
		return back, nil
	}
	now, err := env.environment(ctx)
	if now == nil || err != nil {
		return back, err
	}
	back.Environment, back.Pending = env.environment, env.pending
	if back.Why = now.whyNoWayBack(); back.Why == "" {
		back.Slots, back.Rollback = true, b.rollback
		back.Confirm = func(ctx context.Context, _ bool) error { return env.confirm(ctx) }
	}
	return back, nil
}

// state takes the versions from /etc/sw-versions, whose lines name a
// part of the software and its version.
func (b swupdate) state(context.Context) (System, error) {
	s := b.system()
	var versions names
	for line := range strings.Lines(b.text("/etc/sw-versions")) {
		if f := strings.Fields(line); len(f) > 1 {
			versions = versions.add(f[1])
		}
	}
	for _, v := range s.Versions {
		versions = versions.add(v)
	}
	s.Versions = versions
	if board := strings.Fields(b.text("/etc/hwrevision")); len(board) > 0 {
		s.Boards = append([]string{board[0]}, s.Boards...)
	}
	return s, nil
}

var swupdateError = regexp.MustCompile(`^Status: 4 message: (?:ERROR : )?(.+)`)

// client runs the client, whose output says why the service fails.
func (b swupdate) client(ctx context.Context, c Call, progress func(float64)) error {
	why := ""
	c.Argv = append([]string{b.program("swupdate-client")}, c.Argv...)
	c.Line = func(line string) {
		if m := swupdateError.FindStringSubmatch(line); m != nil && why == "" {
			why = m[1] // the errors that follow only repeat it
		}
		percent(line, progress)
	}
	_, err := b.do(ctx, c)
	if err != nil && why != "" {
		err = fmt.Errorf("%w (%s)", err, why)
	}
	return err
}

func (b swupdate) install(ctx context.Context, i Image, progress func(float64)) error {
	return b.client(ctx, Call{Argv: []string{"-v", i.Path}}, progress)
}

// rollback cannot disarm what was installed and not booted yet: only the image's
// sw-description knows which variables it has changed.
func (b swupdate) rollback(ctx context.Context, slot string) error {
	env := uboot(b)
	if b.rootDevice() != slot {
		return env.giveUp(ctx)
	}
	now, err := env.read(ctx)
	if err != nil {
		return err
	}
	const installed, failed = "1", "3" // as SWUpdate numbers its states
	trial, counts := now["upgrade_available"]
	switch {
	case now["ustate"] != installed:
		return nil
	case counts && trial != "1": // the boot loader has gone back by itself
		return env.set(ctx, Environment{"ustate": failed})
	}
	return errors.New("SWUpdate has armed the other slot and cannot be asked to disarm it: the next boot is of the new system")
}
