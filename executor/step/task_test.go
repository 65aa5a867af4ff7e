package step_test

import (
	"bytes"
	"context"
	"encoding/json"
	"fmt"
	"log/slog"
	"path/filepath"
	"strings"
	"sync"
	"testing"
	"time"

	"github.com/ratchetd/ratchet/executor"
)

// attempt is a step on a device, with all that a test wants to see of it.
type attempt struct {
	executor.Task
	saved    json.RawMessage
	result   json.RawMessage // of the last run
	saves    int
	expected bool // the last Save expected a reboot
	out, err buffer
	progress float64
	stop     chan struct{}
}

func newAttempt(t *testing.T, format string, args ...any) *attempt {
	a := &attempt{stop: make(chan struct{})}
	a.Task = executor.Task{
		Job: "job-1", Step: "the step", With: json.RawMessage(fmt.Sprintf(format, args...)), Attempt: 1, Boot: "boot-1",
		Dir: filepath.Join(t.TempDir(), "undo"), Output: &a.out, Err: &a.err, Stopping: a.stop, Log: slog.New(slog.DiscardHandler),
	}
	return a
}

// run runs the kind once more, as the executor does after a cut.
func (a *attempt) run(ctx context.Context, k executor.Kind) error {
	t := a.task()
	err := k.Run(ctx, t)
	a.result = t.Result
	a.Attempt++
	a.Begun = a.Boot
	return err
}

func (a *attempt) undo(k executor.Undoer) error { return k.Undo(context.Background(), a.task()) }

func (a *attempt) task() *executor.Task {
	return executor.NewTask(a.Task, a.saved, func(state json.RawMessage, cutExpected bool) error {
		a.saved, a.expected = state, cutExpected
		a.saves++
		return nil
	}, func(f float64) { a.progress = f })
}

// buffer is a bytes.Buffer for several goroutines.
type buffer struct {
	mu sync.Mutex
	b  bytes.Buffer
}

func (b *buffer) Write(p []byte) (int, error) {
	b.mu.Lock()
	defer b.mu.Unlock()
	return b.b.Write(p)
}

func (b *buffer) String() string {
	b.mu.Lock()
	defer b.mu.Unlock()
	return b.b.String()
}

// wantError asserts that err is there and says all of parts.
func wantError(t *testing.T, err error, parts ...string) {
	t.Helper()
	for _, part := range parts {
		if err == nil || !strings.Contains(err.Error(), part) {
			t.Errorf("got error %v, want one with %q", err, part)
		}
	}
}

// eventually waits until ok, for as long as a loaded machine may need.
func eventually(t *testing.T, what string, ok func() bool) {
	t.Helper()
	for end := time.Now().Add(time.Minute); !ok(); time.Sleep(10 * time.Millisecond) {
		if time.Now().After(end) {
			t.Fatalf("it did not happen: %s", what)
		}
	}
}
