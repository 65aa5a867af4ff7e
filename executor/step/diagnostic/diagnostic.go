// Package diagnostic is the kind of step that finds out what ails a device, repairs
// what it is told to, and collects what people need to see.
package diagnostic

import (
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"slices"
	"time"

	"github.com/ratchetd/ratchet/executor"
	"github.com/ratchetd/ratchet/executor/step/check"
	"github.com/ratchetd/ratchet/executor/step/policy"
	"github.com/ratchetd/ratchet/executor/step/process"
	"github.com/ratchetd/ratchet/executor/step/safefile"
)

// Kind is the kind that finds out what ails a device. It makes every
// check, those of the network in the order in which one depends on another,
// repairs what it is told to, and can collect files and output into a bundle.
// It has no undo. Cut, it begins again: a repair must be fit to be run twice.
type Kind struct {
	Checker check.Checker
	Files   safefile.Files
	Policy  policy.Policy
	Mask    func([]byte) []byte // takes secrets out of what is collected; nil takes none
}

type diagnosticWith struct {
	Checks  []json.RawMessage `json:"checks"`
	Collect *collectWith      `json:"collect"`
	checks  []check.Check
}

const (
	maxChecks     = 32
	repairTimeout = 2 * time.Minute
	recheckPause  = time.Second
)

// Check implements executor.Kind.
func (k Kind) Check(with json.RawMessage) error {
	w, err := parseDiagnostic(with)
	if err != nil {
		return err
	}
	return k.permits(w)
}

// permits checks all that it may run or write against the owner's policy.
func (k Kind) permits(w diagnosticWith) error {
	for _, c := range w.checks {
		if err := c.Permits(k.Policy); err != nil {
			return fmt.Errorf("check %s: %w", c.Name, err)
		}
	}
	if w.Collect == nil {
		return nil
	}
	for _, argv := range w.Collect.Commands {
		if err := k.Policy.Program(argv); err != nil && !slices.Equal(argv, []string{"dmesg"}) {
			return fmt.Errorf("collect: %w", err)
		}
	}
	return k.Policy.Writable(w.Collect.To)
}

func parseDiagnostic(with json.RawMessage) (w diagnosticWith, err error) {
	if err := executor.Decode(with, &w); err != nil {
		return w, err
	}
	if len(w.Checks) > maxChecks {
		return w, fmt.Errorf("checks: %d of them, want at most %d", len(w.Checks), maxChecks)
	}
	if len(w.Checks) == 0 && w.Collect == nil {
		return w, errors.New("want checks, collect or both")
	}
	for i, raw := range w.Checks {
		c, err := check.Parse(raw)
		if err != nil {
			return w, fmt.Errorf("checks[%d]: %w", i, err)
		}
		w.checks = append(w.checks, c)
	}
	if w.Collect != nil {
		if err := w.Collect.check(); err != nil {
			return w, fmt.Errorf("collect.%w", err)
		}
	}
	return w, nil
}

// Run implements executor.Kind. What the checks found is the step's result and
// output, also when it fails.
func (k Kind) Run(ctx context.Context, t *executor.Task) error {
	w, err := parseDiagnostic(t.With)
	if err != nil {
		return err
	}
	ctx, cancel := t.Limit(ctx, time.Hour)
	defer cancel()
	r := round{Kind: k, t: t, checks: w.checks, results: make([]check.Result, len(w.checks))}
	err = r.all(ctx)
	made := slices.DeleteFunc(r.results, func(r check.Result) bool { return r.State == "" })
	t.Result = encode(made)
	if err == nil && w.Collect != nil {
		err = k.collect(ctx, *w.Collect, made)
	}
	table(t.Output, made)
	if err != nil {
		return err
	}
	return verdict(made)
}

// round is one run through all checks.
type round struct {
	Kind
	t       *executor.Task
	checks  []check.Check
	results []check.Result
}

func (r *round) all(ctx context.Context) error {
	for done, i := range inOrder(r.checks) {
		select {
		case <-r.t.Stopping:
			return executor.ErrStopped
		default:
		}
		r.results[i] = r.one(ctx, r.checks[i])
		if ctx.Err() != nil {
			return context.Cause(ctx)
		}
		r.t.Progress(float64(done+1) / float64(len(r.checks)))
	}
	return nil
}

// one makes a check, unless what it depends on has failed. The broker is asked
// in any case: that is cheap, and a link that stands proves more than a check
// below it that failed.
func (r *round) one(ctx context.Context, c check.Check) check.Result {
	cause := r.blame(c)
	if cause != "" && c.Kind != "broker" {
		return skipped(c, cause)
	}
	result := r.Checker.Run(ctx, c)
	switch {
	case result.State != check.Failed:
		return result
	case cause != "":
		return skipped(c, cause)
	case c.Repair != nil:
		result = r.repair(ctx, c, result)
	}
	if result.State == check.Failed {
		result.Cause = c.Name
	}
	return result
}

func skipped(c check.Check, cause string) check.Result {
	reason := fmt.Sprintf("depends on %s, which failed", cause)
	return check.Result{Name: c.Name, Kind: c.Kind, State: check.Skipped, Reason: reason, Cause: cause}
}

// repair runs a check's repair once and makes the check again.
func (r *round) repair(ctx context.Context, c check.Check, was check.Result) check.Result {
	fmt.Fprintf(r.t.Output, "%s: %s: running its repair\n", c.Name, was.Reason)
	err := r.mend(ctx, c)
	now := r.again(ctx, c)
	switch {
	case now.State == check.OK:
		now.Repaired = true
		now.Reason = joined(now.Reason, "was: "+was.Reason)
	case err != nil:
		now.Reason = joined(now.Reason, fmt.Sprintf("its repair: %v", err))
	default:
		now.Reason = joined(now.Reason, "its repair changed nothing")
	}
	return now
}

func joined(a, b string) string {
	if a == "" {
		return b
	}
	return a + "; " + b
}

func (r *round) mend(ctx context.Context, c check.Check) error {
	ctx, cancel := context.WithTimeoutCause(ctx, repairTimeout, fmt.Errorf("took longer than %s", repairTimeout))
	defer cancel()
	status, err := r.Checker.Execute(ctx, c.Repair, r.t.Output)
	if err != nil {
		return err
	}
	return process.Judge(status, []int{0})
}

// again makes the check until it passes or its time is over: a service that
// was started, or a link that was brought up, needs a moment.
func (r *round) again(ctx context.Context, c check.Check) check.Result {
	for end := time.Now().Add(c.Timeout()); ; {
		now := r.Checker.Run(ctx, c)
		if now.State != check.Failed || time.Until(end) < recheckPause || executor.Sleep(ctx, r.t.Stopping, recheckPause) != nil {
			return now
		}
	}
}
