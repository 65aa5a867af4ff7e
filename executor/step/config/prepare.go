package config

import (
	"context"
	"errors"
	"fmt"
	"os"
	"path/filepath"
	"slices"
	"strings"

	"github.com/ratchetd/ratchet/executor"
	"github.com/ratchetd/ratchet/executor/step/filespec"
	"github.com/ratchetd/ratchet/executor/step/policy"
	"github.com/ratchetd/ratchet/executor/step/process"
	"github.com/ratchetd/ratchet/executor/step/safefile"
)

// keep makes all undo data durable in one go, before anything is written.
func (c *configuring) keep(context.Context) error {
	dirty := false
	for i, t := range c.targets {
		u := &c.state.Undo[i]
		if t.same || u.Was != nil {
			continue
		}
		if !t.with.Absent {
			u.Made = safefile.Missing(filepath.Dir(t.path))
		}
		if err := u.Keep(c.Files, c.kept(i), t.path, func() error { return nil }); err != nil {
			return err
		}
		dirty = true
	}
	// Without validate the next thing is to act: that needs no save of its own.
	if dirty && len(c.with.Validate) > 0 {
		return c.save()
	}
	return c.willAct(dirty)
}

// willAct saves that files are replaced and applied from here on.
func (c *configuring) willAct(dirty bool) error {
	if len(c.state.Apply) == 0 && len(c.with.Apply) > 0 {
		c.state.Apply, _ = executor.Texts(c.with.Apply)
		dirty = true
	}
	if !dirty {
		return nil
	}
	return c.save()
}

// prepare writes every new file beside the old one, where it needs no more than
// a rename to replace it: a disk that is full is noticed here.
func (c *configuring) prepare(ctx context.Context) error {
	for i, t := range c.targets {
		if t.same || t.with.Absent {
			continue
		}
		if err := c.Files.MakeDirs(c.state.Undo[i].Made, 0o755); err != nil {
			return err
		}
		if err := c.fillBeside(ctx, t); err != nil {
			return fmt.Errorf("preparing %s: %w", t.path, err)
		}
	}
	return nil
}

func (c *configuring) fillBeside(ctx context.Context, t target) error {
	src, err := t.open()
	if err != nil {
		return err
	}
	defer src.Close()
	if err := filespec.Room(c.Policy, src, filepath.Dir(t.path)); err != nil {
		return err
	}
	temp := safefile.Beside(t.path, "new")
	if err := c.Files.Fill(temp, &policy.Reader{R: safefile.Reader(ctx, src), Dir: filepath.Dir(t.path), Policy: c.Policy}); err != nil {
		return err
	}
	return c.Files.SetAttrs(temp, t.want)
}

// validate runs the job's own check of the new files, in a tree that has links
// to them under their own names.
func (c *configuring) validate(ctx context.Context) error {
	if len(c.with.Validate) == 0 {
		return nil
	}
	tree, err := c.scratch("prepared")
	if err == nil {
		err = c.growTree(tree)
	}
	if err != nil {
		return fmt.Errorf("validate: preparing the folder to run in: %w", err)
	}
	argv, _ := executor.Texts(c.with.Validate)
	for i, word := range argv {
		if path := namedBy(word, c.paths(c.with)); path != "" && i > 0 {
			argv[i] = strings.TrimSuffix(word, path) + filepath.Join(tree, path)
		}
	}
	p := process.Tool{Argv: argv, Dir: tree, Env: map[string]string{"RATCHET_PREPARED": tree}}
	if err := p.Run(ctx, c.t, c.Groups); err != nil {
		return fmt.Errorf("validate: nothing was changed: %w", err)
	}
	if err := os.RemoveAll(tree); err != nil {
		return err
	}
	return c.willAct(false)
}

// namedBy is the one of paths that a word of validate means; empty: none.
func namedBy(word string, paths []string) string {
	option, value, ok := strings.Cut(word, "=")
	if !ok || !strings.HasPrefix(option, "-") {
		value = word
	}
	if slices.Contains(paths, value) {
		return value
	}
	return ""
}

// scratch makes a new folder beside the undo data. What is in it need not
// survive a cut, but the undo data's own folder must.
func (c *configuring) scratch(name string) (string, error) {
	dir := filepath.Join(c.t.Dir, name)
	if err := c.Files.MakeTree(c.t.Dir, 0o700); err != nil {
		return dir, err
	}
	return dir, errors.Join(os.RemoveAll(dir), os.Mkdir(dir, 0o700))
}

func (c *configuring) growTree(tree string) error {
	for _, t := range c.targets {
		if t.with.Absent {
			continue
		}
		file, name := safefile.Beside(t.path, "new"), filepath.Join(tree, t.with.Path)
		if t.same {
			file = t.path
		}
		if err := os.MkdirAll(filepath.Dir(name), 0o700); err != nil {
			return err
		}
		if err := os.Symlink(file, name); err != nil {
			return err
		}
	}
	return nil
}

// replace puts the new files in the place of the old. What is so already may be
// of an attempt that was cut before it was durable.
func (c *configuring) replace(context.Context) error {
	for _, t := range c.targets {
		var err error
		switch {
		case t.with.Absent:
			err = c.Files.RemoveDurably(t.path)
		case t.same:
			err = c.Files.SyncExisting(t.path)
		default:
			err = c.Files.Install(safefile.Beside(t.path, "new"), t.path, t.want)
		}
		if err != nil {
			return fmt.Errorf("replacing %s: %w", t.path, err)
		}
	}
	return nil
}
