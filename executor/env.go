package executor

import (
	"context"
	"encoding/json"
	"maps"

	"github.com/ratchetd/ratchet/executor/jq"
)

// when is the value of the step's when; a step without one runs.
func (w *walk) when(ctx context.Context) (bool, error) {
	e, err := compileIf(w.step().When)
	if e == nil || err != nil {
		return e == nil && err == nil, err
	}
	input, err := jq.Input(w.env())
	if err != nil {
		return false, err
	}
	return e.Bool(ctx, input)
}

// env is what expressions of this job see.
func (w *walk) env() map[string]any {
	env := map[string]any{"facts": nil, "health": nil, "vars": nil, "alert": w.r.Alert}
	maps.Copy(env, w.Device.Env())
	steps := map[string]any{}
	for i, s := range w.r.Steps {
		state := s.State
		if state == "" {
			state = Pending
		}
		steps[w.r.Job.StepAt(i).Name] = map[string]any{
			"state": state, "attempts": s.Attempts, "output": s.Output, "result": s.Result,
		}
	}
	env["steps"] = steps
	return env
}

// check runs one diagnostic check within the limits of the step under the cursor.
func (w *walk) check(ctx context.Context, c json.RawMessage) error {
	ctx, cancel := w.limits(ctx)
	defer cancel()
	defer w.watch(ctx)()
	return w.Device.Check(ctx, c)
}
