package steptest

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

// Attempt is a step on a device, with all that a test wants to see of it.
type Attempt struct {
	executor.Task
	Saved       json.RawMessage
	LastResult  json.RawMessage // of the last run
	Saves       int
	CutExpected bool // the last Save expected a reboot
	Out, ErrOut Buffer
	Fraction    float64
	Stop        chan struct{}
}

// NewAttempt is the first attempt at a step with these parameters.
func NewAttempt(t *testing.T, format string, args ...any) *Attempt {
	a := &Attempt{Stop: make(chan struct{})}
	a.Task = executor.Task{
		Job: "job-1", Step: "the step", With: json.RawMessage(fmt.Sprintf(format, args...)), Attempt: 1, Boot: "boot-1",
		Dir: filepath.Join(t.TempDir(), "undo"), Output: &a.Out, Err: &a.ErrOut, Stopping: a.Stop, Log: slog.New(slog.DiscardHandler),
	}
	return a
}

// Run runs the kind once more, as the executor does after a cut.
func (a *Attempt) Run(ctx context.Context, k executor.Kind) error {
	t := a.Next()
	err := k.Run(ctx, t)
	a.LastResult = t.Result
	a.Attempt++
	a.Begun = a.Boot
	return err
}

// Undo takes the step back, as the executor does.
func (a *Attempt) Undo(k executor.Undoer) error { return k.Undo(context.Background(), a.Next()) }

// Next is the task of the next attempt.
func (a *Attempt) Next() *executor.Task {
	return executor.NewTask(a.Task, a.Saved, func(state json.RawMessage, cutExpected bool) error {
		a.Saved, a.CutExpected = state, cutExpected
		a.Saves++
		return nil
	}, func(f float64) { a.Fraction = f })
}

// Buffer is a bytes.Buffer for several goroutines.
type Buffer struct {
	mu sync.Mutex
	b  bytes.Buffer
}

// Write implements io.Writer.
func (b *Buffer) Write(p []byte) (int, error) {
	b.mu.Lock()
	defer b.mu.Unlock()
	return b.b.Write(p)
}

// String is what was written.
func (b *Buffer) String() string {
	b.mu.Lock()
	defer b.mu.Unlock()
	return b.b.String()
}

// WantError asserts that err is there and says all of parts.
func WantError(t *testing.T, err error, parts ...string) {
	t.Helper()
	for _, part := range parts {
		if err == nil || !strings.Contains(err.Error(), part) {
			t.Errorf("got error %v, want one with %q", err, part)
		}
	}
}

// Eventually waits until ok, for as long as a loaded machine may need.
func Eventually(t *testing.T, what string, ok func() bool) {
	t.Helper()
	for end := time.Now().Add(time.Minute); !ok(); time.Sleep(10 * time.Millisecond) {
		if time.Now().After(end) {
			t.Fatalf("it did not happen: %s", what)
		}
	}
}
