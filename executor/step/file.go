package step

import (
	"context"
	"encoding/base64"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"strings"

	"github.com/ratchetd/ratchet/executor"
	"github.com/ratchetd/ratchet/executor/step/safefile"
)

// File is the kind that gives a file its content, mode and owner, or removes
// it. A link is followed as Resolve does: what it points to is written; only
// absent takes the link itself. Undo restores what was.
type File struct {
	Policy Policy
	Files  safefile.Files
}

type fileWith struct {
	Path    string         `json:"path"`
	Content *executor.Text `json:"content"`
	Base64  *string        `json:"base64"`
	From    string         `json:"from"`
	Absent  bool           `json:"absent"`
	Mode    string         `json:"mode"`
	Owner   string         `json:"owner"`
}

// Check implements executor.Kind.
func (k File) Check(with json.RawMessage) error {
	w, err := parseFile(with)
	if err != nil {
		return err
	}
	return k.Policy.Writable(w.Path)
}

func parseFile(with json.RawMessage) (w fileWith, err error) {
	if err := executor.Decode(with, &w); err != nil {
		return w, err
	}
	if err := safefile.CheckPath(w.Path); err != nil {
		return w, fmt.Errorf("path: %w", err)
	}
	sources := 0
	for _, given := range []bool{w.Content != nil, w.Base64 != nil, w.From != "", w.Absent} {
		if given {
			sources++
		}
	}
	switch {
	case sources != 1:
		return w, errors.New("want exactly one of content, base64, from and absent")
	case w.Absent && w.Mode+w.Owner != "":
		return w, errors.New("absent: goes without mode and owner")
	case w.Base64 != nil:
		_, err = base64.StdEncoding.DecodeString(*w.Base64)
	case w.From != "":
		err = safefile.CheckPath(w.From)
	}
	if err != nil {
		return w, fmt.Errorf("%s: %w", w.source(), err)
	}
	return w, safefile.CheckAttrs(w.Mode, w.Owner)
}

func (w *fileWith) source() string {
	if w.Base64 != nil {
		return "base64"
	}
	return "from"
}

// Open opens the content that the file shall have.
func (w *fileWith) Open(p Policy) (io.ReadCloser, error) {
	switch {
	case w.Content != nil:
		return io.NopCloser(strings.NewReader(w.Content.S)), nil
	case w.Base64 != nil:
		return io.NopCloser(base64.NewDecoder(base64.StdEncoding, strings.NewReader(*w.Base64))), nil
	}
	real, err := p.toRead(w.From)
	if err != nil {
		return nil, fmt.Errorf("from: %w", err)
	}
	src, err := safefile.Stat(real)
	if err == nil && src.Absent {
		err = fmt.Errorf("%s does not exist", w.From)
	}
	if err != nil {
		return nil, fmt.Errorf("from: %w", err)
	}
	return safefile.Open(real)
}

// filing is one attempt at a file step.
type filing struct {
	File
	t    *executor.Task
	with fileWith
	path string // with.Path, its links followed
	undo safefile.Undo
}

func (k File) begin(t *executor.Task) (*filing, error) {
	with, err := parseFile(t.With)
	if err != nil {
		return nil, err
	}
	s := &filing{File: k, t: t, with: with}
	if _, err := t.Load(&s.undo); err != nil {
		return nil, err
	}
	find := k.Policy.toWrite
	if with.Absent {
		find = k.Policy.toRemove
	}
	s.path, err = find(with.Path)
	return s, err
}

func (s *filing) save() error { return s.t.Save(&s.undo) }

// Run implements executor.Kind.
func (k File) Run(ctx context.Context, t *executor.Task) error {
	_, cancel := limit(ctx, t, filesTimeout)
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
	if err != nil {
		return err
	}
	same, err := s.holds(ctx, now)
	if err != nil {
		return err
	}
	if same && want.Covers(now.Attrs) {
		return s.Files.Settle(s.path)
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
	return s.Files.Write(s.path, safefile.Reader(ctx, src), want)
}

// holds tells whether the file has the wanted content already.
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
