package step

import (
	"context"
	"encoding/json"
	"fmt"
	"path/filepath"

	"github.com/ratchetd/ratchet/executor"
	"github.com/ratchetd/ratchet/executor/step/filespec"
	"github.com/ratchetd/ratchet/executor/step/policy"
	"github.com/ratchetd/ratchet/executor/step/safefile"
)

// File is the kind that gives a file its content, mode and owner, or removes
// it. A link is followed as Resolve does: what it points to is written; only
// absent takes the link itself. Undo restores what was.
type File struct {
	Policy policy.Policy
	Files  safefile.Files
}

// Check implements executor.Kind.
func (k File) Check(with json.RawMessage) error {
	w, err := filespec.Parse(with)
	if err != nil {
		return err
	}
	if err := k.Policy.ModeText(w.Mode); err != nil {
		return err
	}
	return k.Policy.Writable(w.Path)
}

// filing is one attempt at a file step.
type filing struct {
	File
	t    *executor.Task
	with filespec.Spec
	path string // with.Path, its links followed
	undo safefile.Undo
}

func (k File) begin(t *executor.Task) (*filing, error) {
	with, err := filespec.Parse(t.With)
	if err != nil {
		return nil, err
	}
	s := &filing{File: k, t: t, with: with}
	if _, err := t.Load(&s.undo); err != nil {
		return nil, err
	}
	find := k.Policy.ToWrite
	if with.Absent {
		find = k.Policy.ToRemove
	}
	s.path, err = find(with.Path)
	return s, err
}

func (s *filing) save() error { return s.t.Save(&s.undo) }

// Run implements executor.Kind.
func (k File) Run(ctx context.Context, t *executor.Task) error {
	ctx, cancel := t.Limit(ctx, safefile.Timeout)
	defer cancel()
	s, err := k.begin(t)
	if err != nil {
		return err
	}
	now, err := safefile.Stat(s.path)
	if err != nil {
		return err
	}
	if s.with.Absent {
		return s.takeAway(now)
	}
	return s.put(ctx, now)
}

func (s *filing) takeAway(now safefile.Entry) error {
	if !now.Absent {
		if err := s.undo.Keep(s.Files, s.t.Dir, s.path, s.save); err != nil {
			return err
		}
	}
	return s.Files.RemoveDurably(s.path)
}

func (s *filing) put(ctx context.Context, now safefile.Entry) error {
	want, err := safefile.AttrsFor(s.with.Mode, s.with.Owner, now)
	if err == nil {
		err = s.Policy.Mode(want.Rights()) // also of what was there before, which is given new content
	}
	if err != nil {
		return err
	}
	same, err := s.holds(ctx, now)
	if err != nil {
		return err
	}
	if same && want.Covers(now.Attrs) {
		return s.Files.SyncExisting(s.path)
	}
	if err := s.undo.MakeDirs(s.Files, s.path, s.save); err != nil {
		return err
	}
	if err := s.undo.Keep(s.Files, s.t.Dir, s.path, s.save); err != nil {
		return err
	}
	src, err := s.with.Open(s.Policy)
	if err != nil {
		return err
	}
	defer src.Close()
	if err := filespec.Room(s.Policy, src, filepath.Dir(s.path)); err != nil {
		return err
	}
	bound := &policy.Reader{R: safefile.Reader(ctx, src), Dir: filepath.Dir(s.path), Policy: s.Policy}
	return s.Files.Write(s.path, bound, want)
}

// holds reports whether the file has the wanted content already.
func (s *filing) holds(ctx context.Context, now safefile.Entry) (bool, error) {
	src, err := s.with.Open(s.Policy)
	if err != nil {
		return false, err
	}
	defer src.Close()
	if now.Absent {
		return false, nil
	}
	file, err := safefile.Open(s.path)
	if err != nil {
		return false, err
	}
	defer file.Close()
	return safefile.Equal(safefile.Reader(ctx, src), file)
}

// Undo implements executor.Undoer. It needs no parameters: nothing was written
// before it was saved where.
func (k File) Undo(_ context.Context, t *executor.Task) error {
	var u safefile.Undo
	if _, err := t.Load(&u); err != nil {
		return err
	}
	return u.Restore(k.Files, t.Dir)
}

// Describe implements executor.Describer.
func (k File) Describe(s executor.Step) executor.Description {
	p := executor.ReadParams(s.With)
	d := executor.Description{
		Places: map[string]executor.Place{"content": executor.One},
		Does:   "writes " + p.Text("path"),
		Cut:    "it is written again; the file is the old one or the new one, never half of it",
		Undo:   "what was there before is put back",
	}
	switch {
	case p["absent"] == true:
		d.Does = "removes " + p.Text("path")
	case p["from"] != nil:
		d.Does = fmt.Sprintf("copies %s to %s", p.Text("from"), p.Text("path"))
	}
	return d
}
