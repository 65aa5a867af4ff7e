package telemetry

import (
	"context"
	"errors"
	"fmt"
	"os"
	"path/filepath"
	"strings"
)

// Facts are what the device is, as far as it can find out by itself. What it
// cannot find out is empty.
type Facts struct {
	OS      OS     `json:"os"`
	Board   Board  `json:"board"`
	Network []Link `json:"network"`
}

// OS is the system on the device.
type OS struct {
	Name    string `json:"name"`
	Version string `json:"version"`
	Kernel  string `json:"kernel"`
}

// Host reads the facts. They change when something is installed or plugged in. An
// error names those that are left out because what they are read from is odd.
func Host(ctx context.Context) (f Facts, err error) {
	t := treeOf(ctx)
	errs := []error{
		part(&f.OS, "os", func() OS { return readOS(t) }),
		part(&f.Board, "board", func() Board { return readBoard(ctx, t) }),
		part(&f.Network, "network", func() []Link { return readLinks(t) }),
	}
	if f.Network == nil {
		f.Network = []Link{}
	}
	return f, errors.Join(errs...)
}

// part reads a part of the facts.
func part[T any](to *T, name string, read func() T) (err error) {
	*to, err = attempt(func() (T, error) { return read(), nil })
	if err != nil {
		return fmt.Errorf("fact %s: %w", name, err)
	}
	return nil
}

// readOS asks OpenWrt's own file first: its os-release may be the vendor's.
func readOS(t tree) OS {
	name, version := release(t, "openwrt_release", "DISTRIB_ID", "DISTRIB_RELEASE")
	if name == "" {
		name, version = release(t, "os-release", "NAME", "VERSION_ID")
	}
	return OS{Name: name, Version: version, Kernel: word(t.proc, "sys/kernel/osrelease")}
}

// release reads two values of a file of shell assignments.
func release(t tree, file, nameKey, versionKey string) (name, version string) {
	text, _ := os.ReadFile(filepath.Join(t.etc, file))
	for row := range strings.Lines(string(text)) {
		key, value, _ := strings.Cut(strings.TrimSpace(row), "=")
		switch value = strings.Trim(value, `"'`); key {
		case nameKey:
			name = value
		case versionKey:
			version = value
		}
	}
	return name, version
}
