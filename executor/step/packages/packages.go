// Package packages is the kind of step `package`: it installs, removes and upgrades
// packages with opkg, apk or apt.
package packages

import (
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"regexp"
	"strings"
	"time"

	"github.com/ratchetd/ratchet/executor"
	"github.com/ratchetd/ratchet/executor/step/process"
	"github.com/ratchetd/ratchet/executor/step/safefile"
)

// Kind is the kind that installs, removes and upgrades packages with opkg,
// apk or apt, whichever the device has. What is so already is skipped, and what
// an attempt before left half done is finished first.
//
// No exit status is proof: what is installed is read back and compared with what
// was asked. What the step does not name it does not remove, unless allowRemove.
//
// Before the first change the versions of all packages are written down; Undo
// goes back to them, dependencies too, as far as they are still to be had. The
// package of the agent itself can be upgraded like any other, but not removed.
type Kind struct {
	Files  safefile.Files
	Groups process.Groups

	// The programs, each with its first arguments; empty ones are found by
	// their names, and apt-cache and apt-mark beside Apt. World is apk's list of
	// what is wanted, /etc/apk/world.
	Opkg, Apk, Apt, Dpkg, DpkgQuery []string
	World                           string
}

const packageTimeout = time.Hour

type packageWith struct {
	Install []string `json:"install"` // name or name=version
	Remove  []string `json:"remove"`
	Upgrade upgrade  `json:"upgrade"`
	Refresh bool     `json:"refresh"` // of the lists of what can be had
	Manager string   `json:"manager"`

	// Others may be removed that the step does not name.
	AllowRemove bool `json:"allowRemove"`

	install []wanted
}

// upgrade names what to upgrade, or is true for all that can be.
type upgrade struct {
	all   bool
	names []string
}

// UnmarshalJSON implements json.Unmarshaler.
func (u *upgrade) UnmarshalJSON(data []byte) error {
	*u = upgrade{}
	if json.Unmarshal(data, &u.all) == nil {
		return nil
	}
	if json.Unmarshal(data, &u.names) != nil {
		return errors.New("want true or a list of names")
	}
	return nil
}

// wanted is a package, in any version or in exactly one.
type wanted struct{ name, version string }

func (w wanted) String() string { return strings.TrimSuffix(w.name+"="+w.version, "=") }

// The forms leave no room for an option, a pattern or apt's "name-", which
// would remove the package. Behind a colon is a foreign architecture of dpkg's.
var (
	packageForm = regexp.MustCompile(`^[A-Za-z0-9](?:[A-Za-z0-9+._-]{0,126}[A-Za-z0-9+])?(?::[a-z0-9](?:[a-z0-9-]{0,30}[a-z0-9])?)?$`)
	versionForm = regexp.MustCompile(`^[A-Za-z0-9][A-Za-z0-9+.:~_-]{0,127}$`)
)

// Check implements executor.Kind.
func (k Kind) Check(with json.RawMessage) error {
	_, err := parsePackage(with)
	return err
}

func parsePackage(with json.RawMessage) (w packageWith, err error) {
	if err := executor.Decode(with, &w); err != nil {
		return w, err
	}
	if len(w.Install)+len(w.Remove)+len(w.Upgrade.names) == 0 && !w.Upgrade.all && !w.Refresh {
		return w, errors.New("it does nothing: want install, remove, upgrade or refresh")
	}
	switch w.Manager {
	case "", "opkg", "apk", "apt":
	default:
		return w, fmt.Errorf("manager: %q: want opkg, apk or apt", w.Manager)
	}
	return w, w.parseNames()
}

func (w *packageWith) parseNames() error {
	seen := map[string]bool{}
	take := func(list string, i int, name string) error {
		if !packageForm.MatchString(name) {
			return fmt.Errorf("%s[%d]: %q: want the name of a package, of A-Z a-z 0-9 + . _ -, and dpkg's :architecture", list, i, name)
		}
		if seen[name] {
			return fmt.Errorf("%s[%d]: %s is named twice in this step", list, i, name)
		}
		seen[name] = true
		return nil
	}
	for i, text := range w.Install {
		name, version, exact := strings.Cut(text, "=")
		if err := take("install", i, name); err != nil {
			return err
		}
		if exact && !versionForm.MatchString(version) {
			return fmt.Errorf("install[%d]: %q: want a version behind the =", i, text)
		}
		w.install = append(w.install, wanted{name, version})
	}
	for i, name := range w.Remove {
		if err := take("remove", i, name); err != nil {
			return err
		}
		if process.IsAgent(name) {
			return fmt.Errorf("remove[%d]: without %s, the agent itself, nobody could reach the device", i, name)
		}
	}
	for i, name := range w.Upgrade.names {
		if err := take("upgrade", i, name); err != nil {
			return err
		}
	}
	return nil
}

// Run implements executor.Kind.
func (k Kind) Run(ctx context.Context, t *executor.Task) error {
	p, err := k.begin(t)
	if err != nil {
		return err
	}
	ctx, cancel := t.Limit(ctx, packageTimeout)
	defer cancel()
	if p.with.Refresh {
		if err := p.refreshed(ctx); err != nil {
			return fmt.Errorf("refreshing the lists: %w", err)
		}
	}
	now, err := p.repaired(ctx)
	if err != nil {
		return err
	}
	todo, err := p.todo(now)
	if err != nil {
		return err
	}
	if !todo.empty() {
		if now, err = p.pack(ctx, now, todo); err != nil {
			return err
		}
	}
	return p.keepAfter(now)
}
