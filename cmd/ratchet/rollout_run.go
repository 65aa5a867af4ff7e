package main

import (
	"context"
	"fmt"
	"slices"
	"time"

	"github.com/ratchetd/ratchet/agent/dialect"
	"github.com/ratchetd/ratchet/cmd/ratchet/internal/fleet"
	"github.com/ratchetd/ratchet/cmd/ratchet/internal/link"
	"github.com/ratchetd/ratchet/cmd/ratchet/internal/rollout"
	"github.com/spf13/cobra"
)

func (s rolloutCommands) runCommand() *cobra.Command {
	var keep, asJSON bool
	cmd := &cobra.Command{
		Use:   "run [JOB]...",
		Short: "Carry on the rollouts that nobody carries",
		Long: `Run carries on the rollouts that are running and whose carrier is not heard of any
more, and watches those that somebody carries until they need it. It ends when none
is running; with --keep it waits for the next one, as a service does.

Exit codes: 0 all of them are done, 3 one is paused or aborted.`,
		RunE: func(cmd *cobra.Command, args []string) error {
			for _, job := range args {
				if err := s.checkRollout(job); err != nil {
					return err
				}
			}
			if err := s.readyToRoll(); err != nil {
				return err
			}
			return s.run(cmd.Context(), args, keep, asJSON)
		},
	}
	f := cmd.Flags()
	f.BoolVar(&keep, "keep", false, "wait for further rollouts, and never end")
	f.BoolVar(&asJSON, "json", false, "print each event as one JSON object a line")
	s.link.Flags(f)
	return cmd
}

// A troop is the rollouts that one command carries.
type troop struct {
	s      rolloutCommands
	tell   *teller
	only   []string        // jobs; empty is all
	seen   map[string]bool // what lies there, however it stands
	active map[string]bool
	ended  chan carried
	failed error // the first that did not end well
}

type carried struct {
	job string
	doc rollout.Document
	err error
}

func (s rolloutCommands) run(ctx context.Context, only []string, keep, asJSON bool) error {
	c, err := s.dial(ctx)
	if err != nil {
		return err
	}
	defer c.Close()
	ctx, stop := context.WithCancel(ctx)
	defer stop()
	r := &troop{s: s, tell: s.teller(asJSON), only: only, seen: map[string]bool{}, active: map[string]bool{}, ended: make(chan carried, 64)}
	if err := c.ReadRetained(ctx, func(m link.Message) { r.take(ctx, m) }, fleet.Filters(c.Root(), fleet.Rollouts("+"))...); err != nil {
		return err
	}
	for _, job := range only {
		if !r.seen[job] && !keep {
			return fmt.Errorf("no rollout of job %s: ratchet rollout status lists all", job)
		}
	}
	if len(r.active) == 0 && !keep && r.failed == nil {
		fmt.Fprintln(s.out, "No rollout is running.")
	}
	for keep || len(r.active) > 0 {
		select {
		case m := <-c.Feed():
			r.take(ctx, m)
		case err := <-c.Lost():
			r.tell.note(fmt.Sprintf("lost the broker (%v), connecting again", err))
		case e := <-r.ended:
			r.end(ctx, e)
		case <-ctx.Done():
			return r.leave(ctx)
		}
	}
	return r.failed
}

// leave waits for the carriers, which let others take over at once.
func (r *troop) leave(ctx context.Context) error {
	for end := time.After(5 * time.Second); len(r.active) > 0; {
		select {
		case e := <-r.ended:
			delete(r.active, e.job)
		case <-end:
			return context.Cause(ctx)
		}
	}
	return context.Cause(ctx)
}

// take begins to carry a rollout that is running.
func (r *troop) take(ctx context.Context, m link.Message) {
	job := m.Topic.Name
	if m.Topic.Part != dialect.Rollouts || r.active[job] || len(m.Payload) == 0 || len(r.only) > 0 && !slices.Contains(r.only, job) {
		return
	}
	r.seen[job] = true
	d, err := rollout.Parse(job, m.Payload)
	switch {
	case err != nil:
		r.tell.note(err.Error())
		r.failed = errJobFailed
	case d.State == rollout.Running:
		r.active[job] = true
		own := *r.s.session // each connection completes its options
		go func() {
			d, err := r.carry(ctx, rolloutCommands{&own}, job)
			r.ended <- carried{job, d, err}
		}()
	}
}

func (r *troop) carry(ctx context.Context, s rolloutCommands, job string) (rollout.Document, error) {
	c, carrier, err := s.openRollout(ctx, job)
	if err != nil {
		return rollout.Document{}, err
	}
	defer c.Close()
	d, err := carrier.Document()
	if err != nil {
		return d, err
	}
	r.tell.from(d, 1)
	carrier.Show, carrier.Note = r.tell.show, r.tell.note
	d, err = carrier.Run(ctx)
	if err == nil {
		r.tell.show(d, rollout.Seen{}, true)
	}
	return d, err
}

// end takes note of a rollout that nobody carries any more.
func (r *troop) end(ctx context.Context, e carried) {
	delete(r.active, e.job)
	switch {
	case ctx.Err() != nil:
	case e.err != nil:
		r.tell.note(fmt.Sprintf("rollout %s: %v", e.job, e.err))
		r.failed = errJobFailed
	case !r.tell.asJSON:
		r.tell.mu.Lock()
		defer r.tell.mu.Unlock()
		if err := r.s.outcome(e.doc); err != nil {
			r.failed = err
		}
	case e.doc.State != rollout.Done:
		r.failed = errJobFailed
	}
}
