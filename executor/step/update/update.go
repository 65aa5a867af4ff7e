// Package update is the kind of step that replaces the agent itself.
package update

import (
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"net/http"
	"path/filepath"
	"regexp"
	"slices"

	"github.com/ratchetd/ratchet/executor"
	"github.com/ratchetd/ratchet/executor/step/fetch"
	"github.com/ratchetd/ratchet/executor/step/packages"
	"github.com/ratchetd/ratchet/executor/step/policy"
	"github.com/ratchetd/ratchet/executor/step/process"
	"github.com/ratchetd/ratchet/executor/step/safefile"
	"github.com/ratchetd/ratchet/updater"
)

// Kind is the kind that exchanges the agent's own binary. The new one must be
// what was signed, made for this processor, of the version that the step names,
// and able to run with the present configuration, before it takes the old one's
// place; then the agent starts again, and the step is always on trial.
//
// The old binary stays beside the new one until the job is over: Undo puts it
// back, and so do the scripts of the service manager when the new one does not
// even start. Where the binary belongs to a package, the package manager is
// asked for the new version instead, unless the step is forced.
type Kind struct {
	Files   safefile.Files
	Groups  process.Groups
	Policy  policy.Policy
	Package packages.Kind // for a binary that belongs to one
	Client  *http.Client  // nil is one of its own, with the proxy of the environment
	Every   int64         // bytes between two checkpoints, at least; 0 is 4 MiB

	Keys    []string                        // minisign's public ones; where there are some, one of them must have signed
	Unowned bool                            // it is on no device: which keys the owner trusts is not known
	Path    string                          // of the agent's binary
	Running string                          // where the running one can be read; empty is updater.Running
	Version string                          // of the running one
	Config  string                          // the file that the new one must be able to run with
	Memory  func() (free uint64, err error) // of the board; nil is updater.FreeMemory

	// Restart makes the agent end, soon, and start again from Path.
	Restart func() error
}

type updateWith struct {
	URL       executor.Word `json:"url"`
	SHA256    string        `json:"sha256"`
	Signature string        `json:"signature"`
	Version   string        `json:"version"`
	Force     bool          `json:"force"`
}

var versionName = regexp.MustCompile(`^[A-Za-z0-9(][A-Za-z0-9.+~_()-]{0,63}$`)

// Check implements executor.Kind.
func (k Kind) Check(with json.RawMessage) error {
	w, err := parseUpdate(with)
	if err != nil {
		return err
	}
	return k.permits(w)
}

func parseUpdate(with json.RawMessage) (w updateWith, err error) {
	if err := executor.Decode(with, &w); err != nil {
		return w, err
	}
	if !versionName.MatchString(w.Version) {
		return w, fmt.Errorf("version: %q: want what the new binary's command version prints, such as 1.2.3", w.Version)
	}
	return w, fetch.CheckSource(w.URL, w.SHA256)
}

// permits checks the step against the owner's keys and policy.
func (k Kind) permits(w updateWith) error {
	if !w.URL.Open {
		if err := k.Policy.URL(w.URL.S); err != nil {
			return err
		}
	}
	return fetch.CheckSignature(w.Signature, k.Keys, k.Policy, k.Unowned)
}

// updateState is an update's checkpoint: from what, to what, and how far.
type updateState struct {
	From     release          `json:"from"`
	To       release          `json:"to"`
	Fetch    fetch.Checkpoint `json:"fetch,omitzero"`
	Armed    bool             `json:"armed,omitempty"`    // the old binary lies at updater.Old; the next thing is the swap
	Package  string           `json:"package,omitempty"`  // whose manager does it
	Verified string           `json:"verified,omitempty"` // how, and why so
	Restarts int              `json:"restarts,omitempty"`
}

// release is one binary of the agent.
type release struct {
	Version string `json:"version"`
	SHA256  string `json:"sha256"`
}

// updating is one attempt at an update, or at its undo.
type updating struct {
	Kind
	t       *executor.Task
	with    updateWith
	path    string // Path, its links followed
	running string // digest of the running binary
	state   updateState
}

func (k Kind) begin(t *executor.Task) (*updating, error) {
	u := &updating{Kind: k, t: t}
	if _, err := t.Load(&u.state); err != nil {
		return nil, err
	}
	if u.Running == "" {
		u.Running = updater.Running
	}
	if u.Memory == nil {
		u.Memory = updater.FreeMemory
	}
	var err error
	if u.path, err = safefile.Resolve(k.Path); err != nil {
		return nil, fmt.Errorf("finding the agent's binary: %w", err)
	}
	if u.running, err = updater.Digest(u.Running); err != nil {
		return nil, fmt.Errorf("reading the running binary: %w", err)
	}
	return u, nil
}

func (u *updating) save() error { return u.t.Save(&u.state) }

// Run implements executor.Kind. It is cut by its own restart, and done when the
// binary that runs is the new one.
func (k Kind) Run(ctx context.Context, t *executor.Task) error {
	u, err := k.begin(t)
	if err != nil {
		return err
	}
	if u.with, err = parseUpdate(t.With); err != nil {
		return err
	}
	if err := k.permits(u.with); err != nil {
		return err
	}
	switch {
	case u.running == u.with.SHA256 && u.state.Package == "":
		return u.arrived()
	case u.fellBack():
		return u.notStarted()
	case u.state.Armed && u.running != u.state.From.SHA256:
		return errors.New("the agent that runs is neither the old nor the new one: somebody else has replaced it")
	}
	return u.change(ctx)
}

// change is Run in the old agent, also when it was cut on the way.
func (u *updating) change(ctx context.Context) (err error) {
	u.state.From = release{u.Version, u.running}
	u.state.To = release{u.with.Version, u.with.SHA256}
	if u.state.Package == "" && !u.with.Force && !u.state.Armed {
		if u.state.Package, err = u.owner(ctx); err != nil {
			return err
		}
	}
	if u.state.Package != "" {
		return u.upgrade(ctx)
	}
	if sum, err := updater.Digest(u.path); err == nil && u.state.Armed && sum == u.with.SHA256 {
		return u.restart(ctx)
	}
	if err := u.bring(ctx); err != nil {
		return err
	}
	return u.swap(ctx)
}

// arrived ends the step in the new agent.
func (u *updating) arrived() error {
	if !u.state.Armed {
		fmt.Fprintln(u.t.Output, "the agent is this binary already")
		return u.tidy(u.part(), updater.Staged(u.path))
	}
	if err := u.Files.SyncExisting(u.path); err != nil {
		return err
	}
	if err := u.tidy(u.part(), updater.Staged(u.path)); err != nil {
		return err
	}
	return u.say()
}

// say tells from what to what, on the new side.
func (u *updating) say() (err error) {
	fmt.Fprintf(u.t.Output, "the agent is %s now, and was %s\n", u.state.To.Version, u.state.From.Version)
	result := map[string]any{"from": u.state.From, "to": u.state.To}
	if u.state.Verified != "" {
		result["verified"] = u.state.Verified
	}
	u.t.Result, err = json.Marshal(result)
	return err
}

// fellBack reports whether the service manager has put the old binary back.
func (u *updating) fellBack() bool {
	return u.state.Armed && u.running == u.state.From.SHA256 && !safefile.Exists(updater.Old(u.path))
}

func (u *updating) notStarted() error {
	return fmt.Errorf("version %s did not start three times, so the service manager has put %s back: run the new binary by hand to see why",
		u.state.To.Version, u.state.From.Version)
}

// Trial implements executor.Trialist.
func (k Kind) Trial(json.RawMessage) *executor.Trial { return &executor.Trial{} }

// Confirm implements executor.Confirmer: the agent was reached, and is the new
// one. From now on only Undo brings the old one back.
func (k Kind) Confirm(_ context.Context, t *executor.Task) error {
	u, err := k.begin(t)
	switch {
	case err != nil:
		return err
	case u.fellBack():
		return u.notStarted()
	case u.state.Armed && u.running != u.state.To.SHA256:
		return fmt.Errorf("the agent that runs is not %s", u.state.To.Version)
	}
	return k.Files.RemoveDurably(updater.Trial(u.path))
}

// Undo implements executor.Undoer. It begins in the new agent, and ends in the
// old one. What somebody else has put there since stays.
func (k Kind) Undo(ctx context.Context, t *executor.Task) error {
	u, err := k.begin(t)
	if err != nil {
		return err
	}
	if u.state.Package != "" {
		return u.downgrade(ctx)
	}
	if u.state.Armed {
		if err := u.PutBack(ctx); err != nil {
			return err
		}
	}
	return u.tidy(k.Beside()...)
}

// Beside are the files that an update keeps beside the binary until its job is
// over. The service manager's scripts trust them.
func (k Kind) Beside() []string {
	path, err := safefile.Resolve(k.Path)
	if err != nil {
		path = k.Path
	}
	return []string{updater.Trial(path), updater.Old(path), updater.Staged(path), safefile.Beside(path, "part"), safefile.Beside(path, "new"), safefile.Beside(updater.Old(path), "new")}
}

// Forget removes what an update has kept beside the binary.
func (k Kind) Forget() error {
	if !slices.ContainsFunc(k.Beside(), safefile.Exists) {
		return nil
	}
	return (&updating{Kind: k}).tidy(k.Beside()...)
}

func (u *updating) part() string { return safefile.Beside(u.path, "part") }

// tidy durably removes files beside the binary that may be there.
func (u *updating) tidy(paths ...string) error {
	for _, path := range paths {
		if err := u.Files.Remove(path); err != nil {
			return err
		}
	}
	return u.Files.SyncDir(filepath.Dir(paths[0]))
}
