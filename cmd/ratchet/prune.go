package main

import (
	"context"
	"time"

	"github.com/ratchetd/ratchet/cmd/ratchet/internal/fleet"
	"github.com/ratchetd/ratchet/cmd/ratchet/internal/link"
	"github.com/spf13/cobra"
)

func (s *session) pruneCommand() *cobra.Command {
	var g sureFlags
	var age time.Duration
	cmd := &cobra.Command{
		Use:   "prune",
		Short: "Clear offers that have expired, and reports of jobs that are over",
		Long: `Prune clears offers and cancels that expired longer ago than --older, and final
reports of that age of jobs that are offered nowhere any more. It asks first. Jobs
that never expire, and what devices still work on, stay.`,
		Args: cobra.NoArgs,
		RunE: func(cmd *cobra.Command, _ []string) error { return s.prune(cmd.Context(), age, g) },
	}
	g.flags(cmd.Flags())
	spanVar(cmd.Flags(), &age, "older", 7*24*time.Hour, 0, "only what is over for longer than this `time`")
	s.link.Flags(cmd.Flags())
	return cmd
}

func (s *session) prune(ctx context.Context, age time.Duration, g sureFlags) error {
	c, err := s.dial(ctx)
	if err != nil {
		return err
	}
	defer c.Close()
	all, err := retained(ctx, c, fleet.Filters(c.Root(), fleet.Offers("+"), fleet.Statuses("+", "+"))...)
	if err != nil {
		return err
	}
	return s.clear(ctx, c, over(all, time.Now().Add(-age)), g, "what is over")
}

// over are the messages of what was over by then.
func over(all []link.Message, then time.Time) []link.Message {
	f, offered := fleet.New(), map[string]bool{}
	var past []link.Message
	for _, m := range all {
		f.Apply(m)
		if m.Topic.To == "" {
			continue
		}
		if o := fleet.ReadOffer(m.Payload); o.Err == nil && !o.Job.Expires.IsZero() && o.Job.Expires.Before(then) {
			past = append(past, m)
		} else {
			offered[m.Topic.Name] = true
		}
	}
	for _, m := range all {
		status := f.Device(m.Topic.Device).Jobs[m.Topic.Name]
		if m.Topic.Part == "jobs" && status.State.Final() && !offered[m.Topic.Name] && !status.EndedAt.IsZero() && status.EndedAt.Before(then) {
			past = append(past, m)
		}
	}
	return past
}
