package executor

import (
	"context"
	"encoding/json"
	"errors"
	"testing"
)

// A board is a Device and a Gate for tests. What a test leaves nil there is none
// of: no secret, nothing to hide or to hold, and no connection.
type board struct {
	check   func(ctx context.Context, c json.RawMessage) error
	connect func(ctx context.Context) error
	secret  func(name string) (string, error)
	mask    func(text string) string
	hold    func(Record) string
	await   func(ctx context.Context)
}

func (b *board) Env() map[string]any { return nil }

func (b *board) Secret(name string) (string, error) {
	if b.secret == nil {
		return "", errors.New("no such secret")
	}
	return b.secret(name)
}

func (b *board) Mask(text string) string {
	if b.mask == nil {
		return text
	}
	return b.mask(text)
}

func (b *board) Check(ctx context.Context, c json.RawMessage) error { return b.check(ctx, c) }

func (b *board) Connect(ctx context.Context) error {
	if b.connect == nil {
		return errors.New("there is no broker")
	}
	return b.connect(ctx)
}

func (b *board) Admit(Record) error { return nil }

func (b *board) Hold(r Record) string {
	if b.hold == nil {
		return ""
	}
	return b.hold(r)
}

func (b *board) AwaitCancel(ctx context.Context) {
	if b.await != nil {
		b.await(ctx)
	}
}

// refusing is a Gate that admits no job.
type refusing struct{ board }

func (refusing) Admit(Record) error { return errors.New("its key was taken back") }

func TestAJobThatIsNotAdmittedIsRejectedBeforeAnythingRuns(t *testing.T) {
	w := newWorld(t, job("a b"))
	x := w.executor()
	x.Gate = &refusing{}
	r, err := x.Run(t.Context(), w.disk)
	if got, want := howItEnded(r), "rejected its key was taken back: pending pending"; err != nil || got != want || len(w.trace) > 0 {
		t.Errorf("got %q, %v, did %v; want %q and nothing done", got, err, w.trace, want)
	}
}
