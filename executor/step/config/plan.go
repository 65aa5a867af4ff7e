package config

import (
	"bytes"
	"context"
	"errors"
	"fmt"
	"io"
	"os"
	"path/filepath"
	"slices"

	"github.com/ratchetd/ratchet/executor/step/filespec"
	"github.com/ratchetd/ratchet/executor/step/safefile"
)

// A target is one file as a config step wants it.
type target struct {
	with filespec.Spec
	path string // with.Path, its links followed
	now  safefile.Entry
	want safefile.Attrs
	open func() (io.ReadCloser, error) // the content it shall have
	same bool                          // it is as it shall be
}

// plan finds out what is to be changed, and changes nothing.
func (c *configuring) plan(ctx context.Context) error {
	for i, f := range c.with.files {
		open := func() (io.ReadCloser, error) { return f.Open(c.Policy) }
		if err := c.add(ctx, f, open); err != nil {
			return fmt.Errorf("files[%d]: %w", i, err)
		}
	}
	for _, e := range c.with.edits {
		if err := c.addUCI(ctx, e); err != nil {
			return fmt.Errorf("uci: package %s: %w", e.pkg, err)
		}
	}
	return nil
}

// addUCI adds the file of a package as it is after the edits. They are made to
// what was there before the step: one that deletes @rule[0] must not delete
// another rule when it is run again.
func (c *configuring) addUCI(ctx context.Context, e uciEdits) error {
	f := filespec.Spec{Path: c.uciFile(e.pkg)}
	old, err := c.before(len(c.targets), f.Path)
	if err != nil {
		return err
	}
	text, err := c.edit(ctx, e, old)
	if err != nil {
		return err
	}
	if text == nil {
		f.Absent = true
		return c.add(ctx, f, nil)
	}
	if old == nil {
		f.Mode = "0600"
	}
	return c.add(ctx, f, func() (io.ReadCloser, error) { return io.NopCloser(bytes.NewReader(text)), nil })
}

// before reads what the i-th file held before the step; nil when it was absent.
func (c *configuring) before(i int, path string) ([]byte, error) {
	if w := c.state.Undo[i].Was; w != nil {
		path = filepath.Join(c.kept(i), "old")
		if w.Absent {
			return nil, nil
		}
	}
	text, err := os.ReadFile(path)
	switch {
	case errors.Is(err, os.ErrNotExist):
		return nil, nil
	case text == nil && err == nil:
		return []byte{}, nil
	}
	return text, err
}

func (c *configuring) add(ctx context.Context, f filespec.Spec, open func() (io.ReadCloser, error)) (err error) {
	t := target{with: f, open: open}
	find := c.Policy.ToWrite
	if f.Absent {
		find = c.Policy.ToRemove
	}
	if t.path, err = find(f.Path); err != nil {
		return err
	}
	if slices.ContainsFunc(c.targets, func(other target) bool { return other.path == t.path }) {
		return fmt.Errorf("%s leads to the same file as another one of this step: want each once", f.Path)
	}
	if t.now, err = safefile.Stat(t.path); err != nil {
		return err
	}
	if t.want, err = safefile.AttrsFor(f.Mode, f.Owner, t.now); err != nil {
		return err
	}
	if err = c.Policy.Mode(t.want.Rights()); err != nil && !f.Absent {
		return err
	}
	if t.same, err = t.holds(ctx); err != nil {
		return err
	}
	c.targets = append(c.targets, t)
	return nil
}

// holds reports whether the file is already as it shall be.
func (t *target) holds(ctx context.Context) (bool, error) {
	if t.with.Absent {
		return t.now.Absent, nil
	}
	src, err := t.open()
	if err != nil {
		return false, err
	}
	defer src.Close()
	if t.now.Absent || !t.want.Covers(t.now.Attrs) {
		return false, nil
	}
	file, err := safefile.Open(t.path)
	if err != nil {
		return false, err
	}
	defer file.Close()
	return safefile.Equal(safefile.Reader(ctx, src), file)
}
