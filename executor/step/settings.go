package step

import (
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"path/filepath"
	"regexp"

	"github.com/ratchetd/ratchet/executor"
	"github.com/ratchetd/ratchet/executor/step/safefile"
)

// Settings is the kind that changes the agent's own settings: one file in the
// directory of those that go over the main one. It is always on trial, and what
// Undo restores is in force again at once.
//
// It does not know what settings there are: that is the agent's business.
type Settings struct {
	Files safefile.Files
	Dir   string // of the settings' files

	// Try tells why the agent could not run with this content in the file of
	// that name, or nil; an empty content is no file. While the job is only
	// offered, files that the content names need not be there: an earlier step
	// may bring them. Nil tries nothing.
	Try func(name, content string, offered bool) error
	// Reload puts into force what lies in Dir. It may be called when nothing
	// has changed. Nil reloads nothing.
	Reload func() error
}

type settingsWith struct {
	Name    string         `json:"name"`
	Content *executor.Text `json:"content"`
	Absent  bool           `json:"absent"`
}

var settingsName = regexp.MustCompile(`^[A-Za-z0-9_-]{1,47}$`)

func parseSettings(with json.RawMessage) (w settingsWith, err error) {
	if err := executor.Decode(with, &w); err != nil {
		return w, err
	}
	switch {
	case !settingsName.MatchString(w.Name):
		return w, fmt.Errorf("name: %q: want 1 to 47 of A-Z a-z 0-9 _ -", w.Name)
	case (w.Content == nil) != w.Absent:
		return w, errors.New("want exactly one of content and absent")
	}
	return w, nil
}

// Trial implements executor.Trialist.
func (k Settings) Trial(json.RawMessage) *executor.Trial { return &executor.Trial{} }

// Check implements executor.Kind.
func (k Settings) Check(with json.RawMessage) error {
	w, err := parseSettings(with)
	if err != nil || w.Content != nil && w.Content.Open {
		return err
	}
	return k.try(w, true)
}

func (k Settings) try(w settingsWith, offered bool) error {
	if k.Try == nil {
		return nil
	}
	var content string
	if w.Content != nil {
		content = w.Content.S
	}
	if err := k.Try(w.Name, content, offered); err != nil {
		return fmt.Errorf("the agent could not run with it: %w", err)
	}
	return nil
}

// Run implements executor.Kind. The settings are tried before they are written:
// an agent that starts again must be able to run with them.
func (k Settings) Run(ctx context.Context, t *executor.Task) error {
	w, err := parseSettings(t.With)
	if err != nil {
		return err
	}
	if err := k.try(w, false); err != nil {
		return err
	}
	file, err := k.file(t, w)
	if err != nil {
		return err
	}
	if err := (File{Files: k.Files}).Run(ctx, file); err != nil {
		return err
	}
	return k.reload()
}

// file is the task of writing the settings' file. Others cannot read it, for
// the content may hold a secret.
func (k Settings) file(t *executor.Task, w settingsWith) (*executor.Task, error) {
	with := map[string]any{"path": filepath.Join(k.Dir, w.Name+".toml")}
	if w.Absent {
		with["absent"] = true
	} else {
		with["content"], with["mode"] = w.Content.S, "0600"
	}
	text, err := json.Marshal(with)
	file := *t
	file.With = text
	return &file, err
}

// Undo implements executor.Undoer. Reloading changes nothing where nothing was
// written.
func (k Settings) Undo(ctx context.Context, t *executor.Task) error {
	if err := (File{Files: k.Files}).Undo(ctx, t); err != nil {
		return err
	}
	return k.reload()
}

func (k Settings) reload() error {
	if k.Reload == nil {
		return nil
	}
	if err := k.Reload(); err != nil {
		return fmt.Errorf("reloading the settings: %w", err)
	}
	return nil
}

// Describe implements executor.Describer.
func (k Settings) Describe(s executor.Step) executor.Description {
	return executor.Description{
		Places: map[string]executor.Place{"content": executor.One},
		Does:   "changes the agent's own settings " + executor.ReadParams(s.With).Text("name"),
		Cut:    "the trial begins again",
		Undo:   "the old settings are put back",
		Trial:  executor.Reconnected,
	}
}
