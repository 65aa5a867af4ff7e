package steptest

import (
	"context"
	"encoding/json"
	"fmt"
	"os"
	"path/filepath"
	"strings"
	"testing"

	"github.com/ratchetd/ratchet/executor"
	"github.com/ratchetd/ratchet/executor/step/safefile"
)

// sloppy writes a file as the one who wrote it thought best.
type sloppy struct {
	files safefile.Files
	dir   string
	write func(s sloppy, t *executor.Task, path string) error
	back  func(path string) error
}

func (s sloppy) Check(json.RawMessage) error { return nil }

func (s sloppy) Run(_ context.Context, t *executor.Task) error {
	return s.write(s, t, filepath.Join(s.dir, "f"))
}

func (s sloppy) Undo(context.Context, *executor.Task) error { return s.back(filepath.Join(s.dir, "f")) }

// do is a file operation that announces itself.
func (s sloppy) do(op string, act func() error, paths ...string) error {
	if err := s.files.Before(op, paths...); err != nil {
		return err
	}
	return act()
}

func (s sloppy) put(path string) error {
	return s.do("open", func() error {
		return s.do("write", func() error { return os.WriteFile(path, []byte("new"), 0o644) }, path)
	}, path)
}

func (s sloppy) rename(path string) error {
	return s.do("rename", func() error { return os.Rename(path+".tmp", path) }, path+".tmp", path)
}

func (s sloppy) sync(op, path string) error {
	return s.do(op, func() error { return nil }, path)
}

func gone(path string) error {
	_ = os.Remove(path + ".tmp")
	err := os.Remove(path)
	if os.IsNotExist(err) {
		return nil
	}
	return err
}

// TestTheSuiteCatches checks the suite against kinds with one fault each.
func TestTheSuiteCatches(t *testing.T) {
	for _, tt := range []struct {
		name  string
		write func(s sloppy, t *executor.Task, path string) error
		back  func(path string) error
		want  string
	}{
		{"no sync at all", func(s sloppy, _ *executor.Task, path string) error { return s.put(path) },
			gone, "reported before it was durable"},
		{"a name that is not synced", func(s sloppy, _ *executor.Task, path string) error {
			return first(s.put(path+".tmp"), s.sync("sync", path+".tmp"), s.rename(path))
		}, gone, "reported before it was durable"},
		{"content that is not synced", func(s sloppy, _ *executor.Task, path string) error {
			return first(s.put(path+".tmp"), s.rename(path), s.sync("syncdir", s.dir))
		}, gone, "reported before it was durable"},
		{"a change that adds up", func(s sloppy, _ *executor.Task, path string) error {
			text, _ := os.ReadFile(path)
			return os.WriteFile(path, append(text, "x"...), 0o644)
		}, gone, "run again"},
		{"a finished mark before the work", func(s sloppy, t *executor.Task, path string) error {
			if found, _ := t.Load(new(bool)); found {
				return nil
			}
			return first(t.Save(true), s.put(path), s.sync("sync", path), s.sync("syncdir", s.dir))
		}, gone, "run again"},
		{"an undo that leaves something", func(s sloppy, _ *executor.Task, path string) error {
			return first(s.put(path+".tmp"), s.sync("sync", path+".tmp"), s.rename(path), s.sync("syncdir", s.dir))
		}, func(path string) error { _ = os.Remove(path); return nil }, "undo"},
		{"an undo that works once", func(s sloppy, _ *executor.Task, path string) error {
			return first(s.put(path), s.sync("sync", path), s.sync("syncdir", s.dir))
		}, os.Remove, "undo"},
	} {
		t.Run(tt.name, func(t *testing.T) {
			var dir string
			c := Case{Name: tt.name,
				With: func(d string) string { dir = d; return "{}" },
				Kind: func(f safefile.Files) executor.Kind {
					return &lazy{func() sloppy { return sloppy{f, dir, tt.write, tt.back} }}
				}}
			s := &suite{Case: c, root: t.TempDir()}
			_, err := s.run()
			if err == nil || !strings.Contains(err.Error(), tt.want) {
				t.Errorf("got %v, want an error with %q", err, tt.want)
			}
		})
	}
}

// lazy is a sloppy kind that learns its directory from its parameters.
type lazy struct{ kind func() sloppy }

func (l *lazy) Check(with json.RawMessage) error                 { return nil }
func (l *lazy) Run(ctx context.Context, t *executor.Task) error  { return l.kind().Run(ctx, t) }
func (l *lazy) Undo(ctx context.Context, t *executor.Task) error { return l.kind().Undo(ctx, t) }

func first(errs ...error) error {
	for _, err := range errs {
		if err != nil {
			return err
		}
	}
	return nil
}

func TestTellingKeepsTheEndsOfASeries(t *testing.T) {
	got := fmt.Sprint(telling(strings.Fields("a w w w w w b c")))
	if want := "[1 2 3 6 7 8]"; got != want {
		t.Errorf("got %s, want %s", got, want)
	}
}
