package updater

import (
	"cmp"
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"path/filepath"
	"slices"
	"strings"
	"time"
)

// raucConf are where RAUC looks for its configuration.
var raucConf = []string{"/etc/rauc/system.conf", "/run/rauc/system.conf", "/usr/lib/rauc/system.conf"}

// A rauc works through RAUC's command line, which talks to its service where it
// has one. It checks nothing of a bundle but what RAUC checks itself.
type rauc struct{ *Board }

func (b rauc) found() bool {
	return b.program("rauc") != "" && slices.ContainsFunc(raucConf, b.has)
}

// raucStatus is the part of rauc's JSON that is needed here.
type raucStatus struct {
	Compatible string                `json:"compatible"`
	Booted     string                `json:"booted"`       // the boot name
	Primary    string                `json:"boot_primary"` // the name of the slot that boots next; empty: RAUC cannot tell
	Slots      []map[string]raucSlot `json:"slots"`
}

type raucSlot struct {
	BootName   string `json:"bootname"`
	State      string `json:"state"`
	BootStatus string `json:"boot_status"` // good or bad
	Status     struct {
		Bundle struct {
			Version string `json:"version"`
		} `json:"bundle"`
	} `json:"slot_status"`
}

// others are the slots that can be booted and were not.
func (s raucStatus) others() (list []string) {
	for _, named := range s.Slots {
		for name, slot := range named {
			if slot.BootName != "" && slot.State != "booted" {
				list = append(list, name)
			}
		}
	}
	return list
}

// find is a slot that can be booted, by one of its names.
func (s raucStatus) find(is func(name string, slot raucSlot) bool) (name string, found raucSlot) {
	for _, named := range s.Slots {
		for name, slot := range named {
			if slot.BootName != "" && is(name, slot) {
				return name, slot
			}
		}
	}
	return "", found
}

func (s raucStatus) running() raucSlot {
	_, slot := s.find(func(_ string, slot raucSlot) bool { return slot.BootName == s.Booted })
	return slot
}

func (b rauc) status(ctx context.Context) (s raucStatus, err error) {
	out, err := b.ask(ctx, b.program("rauc"), "status", "--detailed", "--output-format=json")
	if err != nil {
		return s, err
	}
	if err := json.Unmarshal([]byte(out), &s); err != nil {
		return s, fmt.Errorf("reading what rauc status says: %w", err)
	}
	if s.Booted == "" {
		return s, errors.New("rauc does not know which slot is booted: see bootname in its system.conf and rauc.slot on the kernel's command line")
	}
	return s, nil
}

func (b rauc) backend(ctx context.Context) (*Backend, error) {
	s, err := b.status(ctx)
	if err != nil {
		return nil, err
	}
	if b.bootloader() == "uboot" {
		if _, err := uboot(b).environment(ctx); err != nil {
			return nil, err
		}
	}
	program := b.program("rauc")
	return &Backend{
		Name: "rauc", Slots: len(s.others()) > 0, Why: "RAUC's system.conf has one slot that can be booted",
		State: b.state,
		Test: func(ctx context.Context, i Image) error {
			// Without -c older versions look for the keyring in one place only.
			_, err := b.ask(ctx, program, "-c", filepath.Join(b.Root, b.conf()), "info", i.Path)
			return err
		},
		Install: b.install, Pending: b.pending, Confirm: b.confirm, Next: b.next, Rollback: b.rollback,
		Environment: uboot(b).environment,
	}, nil
}

func (b rauc) conf() string { return raucConf[slices.IndexFunc(raucConf, b.has)] }

func (b rauc) bootloader() string { return b.variables(b.conf())["bootloader"] }

// pending says that nothing has made the running slot good.
func (b rauc) pending(ctx context.Context) (string, error) {
	s, err := b.status(ctx)
	if err == nil && s.running().BootStatus == "bad" {
		return "RAUC has the running slot " + s.Booted + " as bad", nil
	}
	return "", err
}

// confirm marks the running slot good, and asks whether it is: RAUC also ends well
// where the boot loader keeps nothing of it.
func (b rauc) confirm(ctx context.Context, _ bool) error {
	if _, err := b.ask(ctx, b.program("rauc"), "status", "mark-good", "booted"); err != nil {
		return err
	}
	s, err := b.status(ctx)
	if err != nil {
		return err
	}
	if is := s.running().BootStatus; is != "good" {
		return fmt.Errorf("rauc has marked slot %s good, and its boot status is %s: see what the boot loader keeps (BOOT_ORDER and BOOT_%s_LEFT with U-Boot)", s.Booted, cmp.Or(is, "not known"), s.Booted)
	}
	return nil
}

// next is the boot name of the slot that boots next. RAUC that cannot say so is an
// error, but for a board that has told it of no boot loader.
func (b rauc) next(ctx context.Context) (string, error) {
	s, err := b.status(ctx)
	if err != nil || s.Primary == "" && b.bootloader() == "noop" {
		return "", err
	}
	_, slot := s.find(func(name string, _ raucSlot) bool { return name == s.Primary })
	if slot.BootName == "" {
		return "", errors.New("rauc cannot say which slot boots next: see what the boot loader keeps (BOOT_ORDER with U-Boot)")
	}
	return slot.BootName, nil
}

func (b rauc) state(ctx context.Context) (System, error) {
	s, err := b.status(ctx)
	if err != nil {
		return System{}, err
	}
	own := b.system()
	var versions names
	for _, named := range s.Slots {
		for _, slot := range named {
			if slot.State == "booted" {
				versions = versions.add(slot.Status.Bundle.Version)
			}
		}
	}
	for _, v := range own.Versions {
		versions = versions.add(v)
	}
	return System{Versions: versions, Boards: append(names(nil).add(s.Compatible), own.Boards...), Slot: s.Booted}, nil
}

// install installs a bundle. An installation that an earlier attempt began goes on
// in RAUC's service: it is awaited and then repeated, since how it ended is unknown.
func (b rauc) install(ctx context.Context, i Image, progress func(float64)) error {
	for {
		err := b.installOnce(ctx, i, progress)
		if err == nil || !strings.Contains(err.Error(), "Already processing") {
			return err
		}
		select {
		case <-ctx.Done():
			return context.Cause(ctx)
		case <-time.After(2 * time.Second):
		}
	}
}

func (b rauc) installOnce(ctx context.Context, i Image, progress func(float64)) error {
	why := ""
	_, err := b.do(ctx, Call{Argv: []string{b.program("rauc"), "install", i.Path}, Line: func(line string) {
		percent(line, progress)
		if text, ok := strings.CutPrefix(line, "LastError: "); ok {
			why = text
		}
	}})
	if err != nil && why != "" {
		err = fmt.Errorf("rauc: %s", why)
	}
	return err
}

// rollback marks the other slots bad where the running one is to stay, and the
// running one otherwise. A slot that was not made the next one is left as it is: RAUC
// has marked it bad itself before it wrote there, or has not begun.
func (b rauc) rollback(ctx context.Context, slot string) error {
	s, err := b.status(ctx)
	if err != nil {
		return err
	}
	primary, _ := s.find(func(name string, other raucSlot) bool { return other.BootName == slot && name == s.Primary })
	if s.Booted == slot && primary != "" {
		return nil
	}
	good, bad := "booted", s.others()
	if s.Booted != slot {
		bad = []string{"booted"}
		if good, _ = s.find(func(_ string, other raucSlot) bool { return other.BootName == slot }); good == "" {
			return fmt.Errorf("rauc knows no slot with the boot name %s any more", cmp.Or(slot, "(none)"))
		}
	}
	if _, err := b.ask(ctx, b.program("rauc"), "status", "mark-active", good); err != nil {
		return err
	}
	for _, name := range bad {
		if _, err := b.ask(ctx, b.program("rauc"), "status", "mark-bad", name); err != nil {
			return err
		}
	}
	return nil
}
