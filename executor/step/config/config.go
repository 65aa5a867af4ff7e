// Package config is the kind of step that changes several files, UCI settings or
// both as one, and puts them into use.
package config

import (
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"path/filepath"
	"slices"
	"strconv"
	"time"

	"github.com/ratchetd/ratchet/executor"
	"github.com/ratchetd/ratchet/executor/step/filespec"
	"github.com/ratchetd/ratchet/executor/step/policy"
	"github.com/ratchetd/ratchet/executor/step/process"
	"github.com/ratchetd/ratchet/executor/step/safefile"
)

// Kind is the kind that changes several files, UCI settings or both as one.
//
// All that is new is written beside the old and checked with `validate` before
// anything is replaced; all that is old is kept before, too. `validate` runs in
// a folder, also named by RATCHET_PREPARED, in which the new files are found
// under their own paths: etc/netplan/lan.yaml, or etc/config for `uci -c`. A word
// that is the path of one of the step's files, or ends in = and that, means the new one.
// `apply` runs after, also when the files were so already: that they are so
// does not say that they are in use. Undo restores and applies once more.
type Kind struct {
	Policy policy.Policy
	Files  safefile.Files
	Groups process.Groups
	UCI    string // the program; empty is uci
	UCIDir string // where UCI keeps its packages; empty is /etc/config
}

const configTimeout = 10 * time.Minute // of validate and apply together

type configWith struct {
	Files    []json.RawMessage   `json:"files"`
	UCI      map[string]uciValue `json:"uci"`
	Validate []executor.Word     `json:"validate"`
	Apply    []executor.Word     `json:"apply"`

	files []filespec.Spec
	edits []uciEdits // by package
}

// configState is the undo data: all that Undo needs, for a value that the device
// has filled in may be gone by then.
type configState struct {
	Undo  []safefile.Undo `json:"undo"`            // of the files, and of the UCI packages behind them
	Apply []string        `json:"apply,omitempty"` // once it may have been run
}

// Check implements executor.Kind.
func (k Kind) Check(with json.RawMessage) error {
	w, err := k.parse(with)
	if err != nil {
		return err
	}
	return k.permits(w)
}

// permits checks the step against the owner's policy.
func (k Kind) permits(w configWith) error {
	for _, path := range k.paths(w) {
		if err := k.Policy.Writable(path); err != nil {
			return err
		}
	}
	for i, f := range w.files {
		if err := k.Policy.ModeText(f.Mode); err != nil {
			return fmt.Errorf("files[%d]: %w", i, err)
		}
	}
	for name, argv := range w.programs() {
		list, open := executor.Texts(argv)
		if open { // it is asked again once the device has filled it in
			continue
		}
		if err := k.Policy.Program(list); err != nil {
			return fmt.Errorf("%s: %w", name, err)
		}
	}
	return nil
}

func (k Kind) parse(with json.RawMessage) (w configWith, err error) {
	if err := executor.Decode(with, &w); err != nil {
		return w, err
	}
	if len(w.Files)+len(w.UCI) == 0 {
		return w, errors.New("it changes nothing: want files, uci or both")
	}
	for i, raw := range w.Files {
		file, err := filespec.Parse(raw)
		if err != nil {
			return w, fmt.Errorf("files[%d]: %w", i, err)
		}
		w.files = append(w.files, file)
	}
	if w.edits, err = parseUCI(w.UCI); err != nil {
		return w, fmt.Errorf("uci.%w", err)
	}
	if err := k.checkPaths(w); err != nil {
		return w, err
	}
	for name, argv := range w.programs() {
		list, open := executor.Texts(argv)
		if argv == nil || open {
			continue
		}
		if err := process.CheckArgv(list); err != nil {
			return w, fmt.Errorf("%s: %w", name, err)
		}
	}
	return w, nil
}

// programs are what the step runs, by parameter.
func (w *configWith) programs() map[string][]executor.Word {
	return map[string][]executor.Word{"validate": w.Validate, "apply": w.Apply}
}

func (k Kind) checkPaths(w configWith) error {
	paths := k.paths(w)
	for i, path := range paths {
		if slices.Contains(paths[:i], path) {
			return fmt.Errorf("%s: given twice: want each file once, and a UCI package either as a file or in uci", path)
		}
	}
	return nil
}

// paths are all the files that the step may change.
func (k Kind) paths(w configWith) (list []string) {
	for _, f := range w.files {
		list = append(list, f.Path)
	}
	for _, e := range w.edits {
		list = append(list, k.uciFile(e.pkg))
	}
	return list
}

// configuring is one attempt at a config step, or at its undo.
type configuring struct {
	Kind
	t       *executor.Task
	with    configWith
	state   configState
	targets []target
}

func (k Kind) begin(t *executor.Task) (*configuring, error) {
	if t.Dir == "" {
		return nil, errors.New("keeping undo data: the task has no directory")
	}
	with, err := k.parse(t.With)
	if err != nil {
		return nil, err
	}
	c := &configuring{Kind: k, t: t, with: with}
	c.state.Undo = make([]safefile.Undo, len(k.paths(with)))
	_, err = t.Load(&c.state)
	return c, err
}

func (c *configuring) save() error { return c.t.Save(&c.state) }

// kept is where the old content of the i-th file lies.
func (c *configuring) kept(i int) string { return filepath.Join(c.t.Dir, strconv.Itoa(i)) }

// Run implements executor.Kind.
func (k Kind) Run(ctx context.Context, t *executor.Task) error {
	c, err := k.begin(t)
	if err != nil {
		return err
	}
	if err := k.permits(c.with); err != nil {
		return err
	}
	ctx, cancel := t.Limit(ctx, configTimeout)
	defer cancel()
	for _, phase := range []func(context.Context) error{c.plan, c.keep, c.prepare, c.validate, c.replace, c.apply} {
		if err := phase(ctx); err != nil {
			return err
		}
	}
	return nil
}

// Undo implements executor.Undoer.
func (k Kind) Undo(ctx context.Context, t *executor.Task) error {
	c := &configuring{Kind: k, t: t}
	if _, err := t.Load(&c.state); err != nil {
		return err
	}
	var errs []error
	for i, u := range slices.Backward(c.state.Undo) {
		errs = append(errs, u.Restore(c.Files, c.kept(i)))
	}
	if err := errors.Join(errs...); err != nil || len(c.state.Apply) == 0 {
		return err
	}
	if err := c.run(ctx, c.state.Apply); err != nil {
		return fmt.Errorf("the old files are back, but not in use: %w", err)
	}
	return nil
}

// apply makes the device use the files as they are.
func (c *configuring) apply(ctx context.Context) error {
	if len(c.with.Apply) == 0 {
		return nil
	}
	apply, _ := executor.Texts(c.with.Apply)
	return c.run(ctx, apply)
}

func (c *configuring) run(ctx context.Context, apply []string) error {
	if err := (process.Tool{Argv: apply}).Run(ctx, c.t, c.Groups); err != nil {
		return fmt.Errorf("apply: %w", err)
	}
	return nil
}
