// Package firmware is the kind of step that writes a new system and boots it, on
// trial where the board has two places for one.
package firmware

import (
	"cmp"
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"net/http"
	"path/filepath"
	"slices"
	"strings"
	"time"

	"github.com/ratchetd/ratchet/executor"
	"github.com/ratchetd/ratchet/executor/step/fetch"
	"github.com/ratchetd/ratchet/executor/step/policy"
	"github.com/ratchetd/ratchet/executor/step/process"
	"github.com/ratchetd/ratchet/executor/step/safefile"
	"github.com/ratchetd/ratchet/updater"
)

// Kind is the kind that writes firmware through whatever the board has for
// it, boots it, and makes it final once the trial was withstood. Undo boots the
// old system again, where the board has two. An image that did not last on this
// device is not taken again, unless it is forced.
type Kind struct {
	Policy policy.Policy
	Client *http.Client // nil is one of its own, with the proxy of the environment
	Files  safefile.Files
	Groups process.Groups

	Board  updater.Board // without a Run it has the kind's own
	Reboot []string      // how to reboot; nil is "reboot"
	Dir    string        // holds firmware.json, the images that did not last
	Keep   []string      // what the agent needs after a flash that keeps only what it is told
	Binary string        // the agent's own

	Keys    []string // minisign public keys; when there are some, one must have signed the image
	Unowned bool     // it is on no device: which keys the owner trusts is not known
	// Tell waits for a while, as long as there is a connection, until what was
	// saved of this job has been told.
	Tell   func(ctx context.Context, job string)
	Freeze func() (thaw func()) // from then on nothing is written to the journal

	Patience time.Duration // for the reboot behind a flash; 0 is 2 minutes
}

type firmwareWith struct {
	URL          executor.Word `json:"url"`
	Image        string        `json:"image"`
	SHA256       string        `json:"sha256"`
	Signature    string        `json:"signature"`
	Version      string        `json:"version"`
	Board        string        `json:"board"`
	Backend      string        `json:"backend"`
	KeepSettings *bool         `json:"keepSettings"`
	Force        bool          `json:"force"`
}

// Trial implements executor.Trialist: where there may be a way back.
func (k Kind) Trial(with json.RawMessage) *executor.Trial {
	var w firmwareWith
	if json.Unmarshal(with, &w) != nil || cmp.Or(w.Backend, k.Board.Found()) == "sysupgrade" {
		return nil
	}
	return &executor.Trial{}
}

// Check implements executor.Kind.
func (k Kind) Check(with json.RawMessage) error {
	w, err := parseFirmware(with)
	if err != nil {
		return err
	}
	return k.permits(w)
}

// permits checks the step against the owner's keys and policy.
func (k Kind) permits(w firmwareWith) error {
	if w.URL.S != "" {
		if err := k.Policy.URL(w.URL.S); err != nil {
			return err
		}
	}
	if w.Image != "" {
		if err := k.Policy.Readable(w.Image); err != nil {
			return err
		}
	}
	return fetch.CheckSignature(w.Signature, k.Keys, k.Policy, k.Unowned)
}

func parseFirmware(with json.RawMessage) (w firmwareWith, err error) {
	if err := executor.Decode(with, &w); err != nil {
		return w, err
	}
	source := w.URL
	if w.Image != "" {
		source.Open = true // it has no address
	}
	if err := fetch.CheckSource(source, w.SHA256); err != nil {
		return w, err
	}
	switch hasURL := w.URL.Open || w.URL.S != ""; {
	case hasURL == (w.Image != ""):
		return w, errors.New("want exactly one of url and image")
	case w.Version == "" || len(w.Version) > 128 || strings.ContainsAny(w.Version, "\n\x00"):
		return w, errors.New("version: want the version that the new system says it has: after the boot that reports whether it runs")
	case w.Backend != "" && !slices.Contains(updater.Backends(), w.Backend):
		return w, fmt.Errorf("backend: %q: want one of %s", w.Backend, strings.Join(updater.Backends(), ", "))
	case w.Image != "":
		if err := safefile.CheckPath(w.Image); err != nil {
			return w, fmt.Errorf("image: %w", err)
		}
	}
	return w, nil
}

// phase is how far a firmware step has come. Each is on disk before it begins.
type phase string

const (
	fetching phase = ""      // nothing is written yet
	writing  phase = "write" // the other slot may hold half of it, or be armed already
	booting  phase = "boot"  // it is written, and the device is about to reboot
)

// firmwareState is a firmware step's checkpoint.
type firmwareState struct {
	Backend   string           `json:"backend"`
	From      updater.System   `json:"from"` // what ran before
	Phase     phase            `json:"phase,omitempty"`
	Boot      string           `json:"boot,omitempty"` // the boot that is to end
	Part      string           `json:"part,omitempty"` // where the image grows
	Fetch     fetch.Checkpoint `json:"fetch"`
	KeepIn    string           `json:"keepIn,omitempty"` // the list that this step has written
	Rollbacks int              `json:"rollbacks,omitempty"`
	Final     bool             `json:"final,omitempty"` // it was about to be made final
	// Chosen are the boot loader's variables that the write has changed: by them it
	// boots the new system. Before are their former values.
	Chosen updater.Environment `json:"chosen,omitempty"`
	Before updater.Environment `json:"before,omitempty"`
}

// flashing is one attempt at a firmware step, at its end or at its undo.
type flashing struct {
	Kind
	t       *executor.Task
	with    firmwareWith
	backend *updater.Backend
	state   firmwareState
	resumed bool
}

// begin reads what an attempt before this one has saved.
func (k Kind) begin(ctx context.Context, t *executor.Task, with firmwareWith) (*flashing, error) {
	s := &flashing{Kind: k, t: t, with: with}
	var err error
	if s.resumed, err = t.Load(&s.state); err != nil {
		return nil, err
	}
	if s.Board.Run == nil {
		s.Board.Run = s.run
	}
	s.Board.Dir = s.Dir
	name := with.Backend
	if s.resumed {
		name = s.state.Backend
	}
	s.backend, err = s.Board.Backend(ctx, name)
	return s, err
}

// settling is how long a board that has just booted may take until it says what runs:
// RAUC's service, D-Bus or the folder of a lock may not be there yet, and a system that
// was only asked too early must not be taken back.
const settling = time.Minute

// look begins, and asks what runs.
func (k Kind) look(ctx context.Context, t *executor.Task, with firmwareWith) (s *flashing, now updater.System, err error) {
	for wait, until := time.Second, time.Now().Add(settling); ; wait *= 2 {
		s, err = k.begin(ctx, t, with)
		if err == nil {
			now, err = s.backend.State(ctx)
		}
		if err == nil || s == nil || !s.rebooted() || time.Now().Add(wait).After(until) {
			return s, now, err
		}
		fmt.Fprintf(t.Output, "the board does not say yet what runs: %v\n", err)
		if stopped := executor.Sleep(ctx, t.Stopping, wait); stopped != nil {
			return s, now, stopped
		}
	}
}

func (s *flashing) save() error { return s.t.Save(&s.state) }

// rebooted reports whether the device has booted since the step was to boot it.
func (s *flashing) rebooted() bool { return s.state.Phase == booting && s.state.Boot != s.t.Boot }

// isNew reports whether the system that runs is the one that this step has
// written, as far as the board can say.
func (s *flashing) isNew(now updater.System) bool {
	known := now.Slot != "" && s.state.From.Slot != ""
	switch {
	case known && now.Slot != s.state.From.Slot:
		return true
	case !now.Is(s.with.Version):
		return false
	}
	return !s.state.From.Is(s.with.Version) || !known && s.rebooted()
}

// images is where the image lies meanwhile: on OpenWrt in RAM, for sysupgrade
// wants it there.
func (s *flashing) images() string {
	if s.backend.Kills {
		return filepath.Join(s.Board.Root, "/tmp")
	}
	return s.t.Dir
}
