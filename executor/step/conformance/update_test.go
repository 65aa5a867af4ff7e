package conformance_test

import (
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"os"
	"path/filepath"
	"slices"
	"testing"

	"github.com/ratchetd/ratchet/executor"
	"github.com/ratchetd/ratchet/executor/step/safefile"
	"github.com/ratchetd/ratchet/executor/step/steptest"
	"github.com/ratchetd/ratchet/executor/step/update"
)

// startsAnew is an Update on a device whose agent is the binary at path: what
// runs is what lay there when the step, or its undo, was begun last.
type startsAnew struct {
	update.Kind
	home *string
}

func (k startsAnew) act(t *executor.Task, do func(update.Kind, *executor.Task) error) error {
	k.Path, k.Running = filepath.Join(*k.home, "ratchetd"), filepath.Join(filepath.Dir(*k.home), "running")
	var saved json.RawMessage
	_, err := t.Load(&saved)
	// The suite takes a Save before a reboot for a reboot; here nothing is cut.
	sub := executor.NewTask(*t, saved, func(s json.RawMessage, _ bool) error { return t.Save(s) }, func(float64) {})
	for err == nil || errors.Is(err, steptest.ErrRestart) {
		var binary []byte
		if binary, err = os.ReadFile(k.Path); err != nil {
			return err
		}
		if err = os.WriteFile(k.Running, binary, 0o700); err != nil {
			return err
		}
		if err = do(k.Kind, sub); err == nil {
			return nil
		}
	}
	return err
}

func (k *startsAnew) Run(ctx context.Context, t *executor.Task) error {
	return k.act(t, func(u update.Kind, t *executor.Task) error { return u.Run(ctx, t) })
}

func (k *startsAnew) Confirm(ctx context.Context, t *executor.Task) error {
	return k.act(t, func(u update.Kind, t *executor.Task) error { return u.Confirm(ctx, t) })
}

func (k *startsAnew) Undo(ctx context.Context, t *executor.Task) error {
	return k.act(t, func(u update.Kind, t *executor.Task) error { return u.Undo(ctx, t) })
}

func updateCases(t *testing.T) []steptest.Case {
	old := steptest.AgentBinary(t)
	next := append(slices.Clone(old), "new"...)
	url, sum := steptest.Serve(t, next)
	var home string
	kind := func(free uint64) func(safefile.Files) executor.Kind {
		return func(f safefile.Files) executor.Kind {
			return &startsAnew{Kind: update.Kind{Files: f, Version: "1", Config: "/etc/ratchet/ratchet.toml",
				Restart: func() error { return steptest.ErrRestart }, Memory: func() (uint64, error) { return free, nil }}, home: &home}
		}
	}
	setup := func(dir string) error { return os.WriteFile(filepath.Join(dir, "ratchetd"), old, 0o755) }
	with := func(dir string) string {
		home = dir
		return fmt.Sprintf(`{"url":%q,"sha256":%q,"version":"version","force":true}`, url, sum)
	}
	return []steptest.Case{
		{Name: "update", Kind: kind(1 << 30), Setup: setup, With: with},
		{Name: "update, with little memory", Kind: kind(0), Setup: setup, With: with},
	}
}
