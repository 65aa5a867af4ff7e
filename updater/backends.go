package updater

import (
	"context"
	"fmt"
	"strings"
)

// A candidate is one sort of backend, and whether this board has it.
type candidate struct {
	name  string
	needs string
	found bool
	make  func(ctx context.Context) (*Backend, error)
}

func (b *Board) candidates() []candidate {
	return []candidate{
		{"script", "an executable " + b.Script, script{b}.found(), script{b}.backend},
		{"rauc", "rauc and its system.conf", rauc{b}.found(), rauc{b}.backend},
		{"swupdate", "swupdate-client and the running service of SWUpdate", swupdate{b}.found(), swupdate{b}.backend},
		{"mender", "mender-update or mender, and a device_type", mender{b}.found(), mender{b}.backend},
		{"sysupgrade", "OpenWrt's sysupgrade", sysupgrade{b}.found(), sysupgrade{b}.backend},
	}
}

// Backends are the names of all that there are.
func Backends() (names []string) {
	for _, c := range (&Board{}).candidates() {
		names = append(names, c.name)
	}
	return names
}

// Found is the name of the backend that this board uses by itself, or empty.
func (b *Board) Found() string {
	for _, c := range b.candidates() {
		if c.found {
			return c.name
		}
	}
	return ""
}

// Backend is the backend of that name; an empty name means the one that Found names.
func (b *Board) Backend(ctx context.Context, name string) (*Backend, error) {
	var needs []string
	for _, c := range b.candidates() {
		switch {
		case c.found && (name == "" || name == c.name):
			return c.make(ctx)
		case name == c.name:
			return nil, fmt.Errorf("backend: this board has no %s: it needs %s", name, c.needs)
		}
		needs = append(needs, c.name+" ("+c.needs+")")
	}
	if name != "" {
		return nil, fmt.Errorf("backend: %q: want one of %s", name, strings.Join(Backends(), ", "))
	}
	return nil, fmt.Errorf("this board has nothing to write firmware with: want one of %s", strings.Join(needs, ", "))
}
