package main

import (
	"context"
	"errors"
	"fmt"
	"strconv"
	"strings"
	"time"

	"github.com/ratchetd/ratchet/agent/dialect"
	"github.com/ratchetd/ratchet/cmd/ratchet/internal/broker"
	"github.com/ratchetd/ratchet/cmd/ratchet/internal/fleet"
	"github.com/ratchetd/ratchet/cmd/ratchet/internal/sim"
	"github.com/spf13/cobra"
)

// A simulating is a command line of simulate.
type simulating struct {
	sim.Plan
	offline, flap, slow, clock, old percent
	fail                            string
	steps                           int
	stay, json, force               bool
	timeout                         time.Duration
}

// A simulateCommand is `ratchet simulate`.
type simulateCommand struct{ *session }

func (s simulateCommand) command() *cobra.Command {
	var w simulating
	cmd := &cobra.Command{
		Use:   "simulate -n N",
		Short: "Run a fleet of simulated devices in this process",
		Long: `Simulate runs real agents on boards that are not there: they connect, take jobs
and report as devices do, but a step only sleeps and ends as the seed says, so that
no job touches this machine. They are called sim-00000 and so on, and are in the
group sim; their tags are site and ring.

It sends them a job, and says what that took: messages, time, memory, and whether
anything was lost or done twice. With --stay it sends none and runs until it is
ended, for whatever you send. Without --broker it brings a broker of its own. What
these devices left at the broker is taken away in the end. Where devices of these
names are online already it does not begin.

A job that fails does so on other devices each time, so that it can be tried again.

Exit codes: 0 done, 1 something was lost or done twice, or not done in time.`,
		Example: `  ratchet simulate -n 1000 --offline 5% --flap 2% --fail 3%@2 --slow 10%
  ratchet simulate -n 300 --offline 10% --fail 8% --stay --broker tcp://localhost:1883`,
		Args: cobra.NoArgs,
		RunE: func(cmd *cobra.Command, _ []string) error {
			if err := w.complete(); err != nil {
				return usageError{err}
			}
			return s.simulate(cmd.Context(), w)
		},
	}
	f := cmd.Flags()
	f.IntVarP(&w.Devices, "devices", "n", 100, "how many `devices`")
	f.Int64Var(&w.Seed, "seed", 1, "what the boards are like, and who has which fault: the same `number`, the same fleet")
	f.Var(&w.offline, "offline", "devices that were there and are away")
	f.Var(&w.flap, "flap", "devices that stop and come back, again and again")
	f.Var(&w.slow, "slow", "devices that take ten times as long")
	f.StringVar(&w.fail, "fail", "0%", "devices that fail a job, and at which step: `share[@STEP]`")
	f.Var(&w.clock, "clock", "devices with a wrong clock")
	f.Var(&w.old, "old", "devices with an old agent, which lacks some kinds of steps")
	f.IntVar(&w.steps, "steps", 5, "how many `steps` the job has")
	spanVar(f, &w.Step, "step", time.Second, 0, "how long a step takes, about")
	f.StringVar(&w.State, "state", "", "the `folder` for what the devices keep; in memory otherwise")
	f.BoolVar(&w.stay, "stay", false, "send no job, and run until it is ended")
	f.BoolVar(&w.force, "force", false, "also where devices of these names say that they are online")
	spanVar(f, &w.timeout, "timeout", 10*time.Minute, 0, "give up waiting for the job after this `time`")
	f.BoolVar(&w.json, "json", false, "print one JSON object")
	s.link.Flags(f)
	return cmd
}

// complete reads what the flags say.
func (w *simulating) complete() error {
	share, step, given := strings.Cut(w.fail, "@")
	var fail percent
	if err := fail.Set(share); err != nil {
		return fmt.Errorf("--fail: %w, and a step such as 3%%@2", err)
	}
	w.Faults = sim.Faults{Offline: float64(w.offline), Flapping: float64(w.flap), Slow: float64(w.slow), Failing: float64(fail),
		AtStep: 1, Clock: float64(w.clock), Old: float64(w.old)}
	if given {
		n, err := strconv.Atoi(step)
		if err != nil {
			return fmt.Errorf("--fail: %q is no step", step)
		}
		w.Faults.AtStep = n
	}
	if w.steps < 1 || w.steps > 64 {
		return errors.New("--steps: want 1 to 64")
	}
	return w.Check()
}

// A simulated is what came of a simulation.
type simulated struct {
	Devices  int             `json:"devices"`
	Here     string          `json:"hereAfter"` // how long it took until all were
	Used     uint64          `json:"memory"`    // bytes for each device: heap and stacks
	Resident uint64          `json:"resident"`  // bytes for each device
	Jobs     []sim.JobReport `json:"jobs"`
}

func (s simulateCommand) simulate(ctx context.Context, w simulating) error {
	if s.link.Broker == "" && s.link.Context == "" { // never the current context by itself: devices would be made up there
		url, stop, err := broker.Start()
		if err != nil {
			return err
		}
		defer stop()
		s.link.Broker = url
	}
	if err := s.ready(); err != nil {
		return err
	}
	w.Link = s.link
	c, err := s.dial(ctx)
	if err != nil {
		return err
	}
	defer c.Close()
	tally := &sim.Tally{Client: c, Plan: w.Plan}
	if err := tally.Listen(ctx, w.force); err != nil {
		return err
	}
	result := simulated{Devices: w.Devices}
	f, err := sim.New(w.Plan)
	if err != nil {
		return err
	}
	job := fmt.Sprintf("simulate-%d", time.Now().Unix())
	err = s.play(ctx, w, f, tally, job, &result)
	// The devices end and their traces go, whatever ended it.
	after := context.WithoutCancel(ctx)
	if closed := f.Close(); err == nil {
		err = closed
	}
	if swept := f.Sweep(after, job); err == nil {
		err = swept
	}
	if err == nil {
		err = s.showSimulated(w, result)
	}
	return err
}

// play lets the devices come, do what they are sent, and be counted.
func (s simulateCommand) play(ctx context.Context, w simulating, f *sim.Fleet, tally *sim.Tally, job string, result *simulated) error {
	begun := time.Now()
	used, resident := sim.Memory()
	if err := f.Start(ctx); err != nil {
		return err
	}
	if err := until(ctx, w.timeout, "all devices are here", func() bool { return tally.Online() == w.Devices }); err != nil {
		return err
	}
	nowUsed, nowResident := sim.Memory()
	n := uint64(w.Devices)
	result.Here, result.Used, result.Resident = time.Since(begun).Round(time.Millisecond).String(), (nowUsed-used)/n, (nowResident-min(resident, nowResident))/n
	faulty, settle := context.WithCancel(context.WithoutCancel(ctx))
	defer settle()
	f.Leave(faulty)
	if !w.json {
		s.showFleet(w, *result)
	}
	if err := s.send(ctx, w, f, tally, job); err != nil {
		return err
	}
	settle()
	f.Settle()
	var err error
	result.Jobs, err = f.Account(context.WithoutCancel(ctx), tally)
	return err
}

// send sends the job and waits until it is done, or waits for whoever ends it.
func (s simulateCommand) send(ctx context.Context, w simulating, f *sim.Fleet, tally *sim.Tally, job string) error {
	if w.stay {
		<-ctx.Done()
		return nil
	}
	to := dialect.Topic{To: sim.Group, Name: job}
	if err := tally.Client.Publish(ctx, to, sim.Job(job, w.steps, time.Now())); err != nil {
		return err
	}
	return until(ctx, w.timeout, "the job is done", func() bool { return tally.Done(job) >= f.Expected() })
}

// until waits for something, and says so where it does not come.
func until(ctx context.Context, most time.Duration, what string, so func() bool) error {
	ctx, cancel := context.WithTimeoutCause(ctx, most, fmt.Errorf("not so after %v: %s", most, what))
	defer cancel()
	for !so() {
		select {
		case <-ctx.Done():
			return context.Cause(ctx)
		case <-time.After(50 * time.Millisecond):
		}
	}
	return nil
}

// showFleet says who is here.
func (s simulateCommand) showFleet(w simulating, r simulated) {
	words := []string{fmt.Sprintf("%s here after %s at %s", count(w.Devices, "device is", "devices are"), r.Here, s.link.Broker)}
	p := w.Faults
	for _, fault := range []struct {
		share float64
		what  string
	}{{p.Offline, "are away"}, {p.Flapping, "come and go"}, {p.Slow, "are slow"}, {p.Failing, fmt.Sprintf("fail at step %d", p.AtStep)}, {p.Clock, "have a wrong clock"}, {p.Old, "run an old agent"}} {
		if fault.share > 0 {
			words = append(words, fmt.Sprintf("%g %% %s", fault.share, fault.what))
		}
	}
	fmt.Fprintln(s.out, strings.Join(words, ", "))
	fmt.Fprintf(s.out, "memory for each: %.2f MB of heap and stacks, %.2f MB resident\n", float64(r.Used)/1e6, float64(r.Resident)/1e6)
}

// showSimulated says what the jobs took. What was lost or doubled is an error.
func (s simulateCommand) showSimulated(w simulating, r simulated) error {
	if w.json {
		if err := s.out.JSON(r); err != nil {
			return err
		}
	}
	lost, doubled := 0, 0
	for _, j := range r.Jobs {
		lost, doubled = lost+j.Lost, doubled+j.Doubled
		if w.json {
			continue
		}
		fmt.Fprintf(s.out, "%s: %s: %s\n", j.Job, count(j.Devices, "device"), fleet.Counts(j.States))
		fmt.Fprintf(s.out, "  50 %% after %v, 95 %% after %v, 100 %% after %v\n", round(j.T50), round(j.T95), round(j.T100))
		fmt.Fprintf(s.out, "  %.1f status messages for each device, %d repeated; lost %d, doubled %d\n", j.Messages, j.Repeated, j.Lost, j.Doubled)
	}
	if lost+doubled > 0 {
		return fmt.Errorf("%d statuses were lost and %d doubled: this is a bug in ratchet", lost, doubled)
	}
	return nil
}

func round[D ~int64](d D) time.Duration { return time.Duration(d).Round(10 * time.Millisecond) }
