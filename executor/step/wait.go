package step

import (
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"time"

	"github.com/ratchetd/ratchet/executor"
)

// Wait is the kind that lets some time pass. It changes nothing, so it has no undo.
type Wait struct{}

type waitWith struct {
	For executor.Duration `json:"for"`
}

// Describe implements executor.Describer.
func (Wait) Describe(s executor.Step) executor.Description {
	var w waitWith
	_ = executor.Decode(s.With, &w) // Check has seen it
	return executor.Description{Does: fmt.Sprintf("waits for %s", time.Duration(w.For)), Cut: "it waits from the beginning"}
}

// Check implements executor.Kind.
func (Wait) Check(with json.RawMessage) error {
	var w waitWith
	if err := executor.Decode(with, &w); err != nil {
		return err
	}
	if w.For <= 0 {
		return errors.New(`for: want a time such as "30s"`)
	}
	return nil
}

// Run implements executor.Kind.
func (Wait) Run(ctx context.Context, t *executor.Task) error {
	var w waitWith
	if err := executor.Decode(t.With, &w); err != nil {
		return err
	}
	return executor.Sleep(ctx, t.Stopping, time.Duration(w.For))
}
