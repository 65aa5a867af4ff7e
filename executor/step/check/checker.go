package check

import (
	"cmp"
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"log/slog"
	"time"

	"github.com/ratchetd/ratchet/executor/fence"
	"github.com/ratchetd/ratchet/executor/step/process"
	"github.com/ratchetd/ratchet/telemetry"
)

// A Checker makes checks. Its zero value is of use.
type Checker struct {
	Probes telemetry.Prober
	Broker func(context.Context) error // why the broker cannot be reached; nil: nobody can tell
	Groups process.Groups              // where the process groups of commands are noted
	Root   string                      // where the system's files are found; empty is /
	Log    *slog.Logger                // nil is silent
}

// Check makes one check, for the executor: it returns nil when all is well,
// and why it is not, or not known to be. It repairs nothing.
func (k Checker) Check(ctx context.Context, raw json.RawMessage) error {
	c, err := Parse(raw)
	if err != nil {
		return err
	}
	switch r := k.Run(ctx, c); r.State {
	case OK:
		return nil
	case Unknown:
		return fmt.Errorf("check %s is unknown: %s", r.Name, r.Reason)
	default:
		return fmt.Errorf("check %s failed: %s", r.Name, r.Reason)
	}
}

// Run makes one check and says how it went.
func (k Checker) Run(ctx context.Context, c Check) Result {
	late := fmt.Errorf("took longer than %s", c.Timeout())
	ctx, cancel := context.WithTimeoutCause(ctx, c.Timeout(), late)
	defer cancel()
	var found telemetry.Reading
	err := fence.Call(func() (err error) {
		found, err = checkKinds[c.Kind].probe(k, ctx, c)
		return err
	})
	if fence.Log(k.Log, err, "a check panicked", "check", c.Name) {
		err = telemetry.Unknown{Reason: err.Error()}
	}
	if err == nil {
		err = c.holds(found)
	}
	if cause := context.Cause(ctx); err != nil && cause != nil && !errors.Is(err, cause) {
		err = fmt.Errorf("%w: %w", cause, err)
	}
	r := Result{Name: c.Name, Kind: c.Kind, State: OK, Value: found.Value, Unit: found.Unit, Reason: found.Detail}
	if err != nil {
		r.State, r.Reason = Failed, err.Error()
	}
	if errors.As(err, new(telemetry.Unknown)) {
		r.State = Unknown
	}
	return r
}

// Timeout is the longest that the check may take.
func (c Check) Timeout() time.Duration { return cmp.Or(time.Duration(c.Within), checkTimeout) }

// holds checks the figure against the limits.
func (c Check) holds(found telemetry.Reading) error {
	if found.Value == nil {
		return nil
	}
	var want string
	switch v := *found.Value; {
	case c.Below != nil && v >= *c.Below:
		want = "below " + figure(c.Below, found.Unit)
	case c.Above != nil && v <= *c.Above:
		want = "above " + figure(c.Above, found.Unit)
	default:
		return nil
	}
	reason := fmt.Sprintf("%s, want %s", figure(found.Value, found.Unit), want)
	if found.Detail != "" {
		reason += "; " + found.Detail
	}
	return errors.New(reason)
}

func (k Checker) disk(ctx context.Context, c Check) (telemetry.Reading, error) {
	return k.Probes.Disk(ctx, c.text)
}

func (k Checker) memory(ctx context.Context, _ Check) (telemetry.Reading, error) {
	return k.Probes.Memory(ctx)
}

func (k Checker) load(ctx context.Context, _ Check) (telemetry.Reading, error) {
	return k.Probes.Load(ctx)
}

func (k Checker) temperature(ctx context.Context, _ Check) (telemetry.Reading, error) {
	return k.Probes.Temperature(ctx)
}

func (k Checker) process(ctx context.Context, c Check) (telemetry.Reading, error) {
	return k.Probes.Process(ctx, c.text)
}

func (k Checker) file(ctx context.Context, c Check) (telemetry.Reading, error) {
	return k.Probes.File(ctx, c.text)
}

func (k Checker) link(ctx context.Context, c Check) (telemetry.Reading, error) {
	return k.Probes.Link(ctx, c.text)
}

func (k Checker) address(_ context.Context, c Check) (telemetry.Reading, error) {
	return k.Probes.Address(c.text)
}

func (k Checker) gateway(ctx context.Context, _ Check) (telemetry.Reading, error) {
	return k.Probes.Gateway(ctx)
}

func (k Checker) dns(ctx context.Context, c Check) (telemetry.Reading, error) {
	return k.Probes.DNS(ctx, c.text)
}

func (k Checker) ping(ctx context.Context, c Check) (telemetry.Reading, error) {
	return k.Probes.Ping(ctx, c.text)
}

func (k Checker) tcp(ctx context.Context, c Check) (telemetry.Reading, error) {
	return k.Probes.TCP(ctx, c.text)
}

func (k Checker) http(ctx context.Context, c Check) (telemetry.Reading, error) {
	return k.Probes.HTTP(ctx, c.text, c.Status)
}

func (k Checker) broker(ctx context.Context, _ Check) (telemetry.Reading, error) {
	if k.Broker == nil {
		return telemetry.Reading{}, telemetry.Unknown{Reason: "nothing here knows about the broker"}
	}
	return telemetry.Reading{}, k.Broker(ctx)
}
