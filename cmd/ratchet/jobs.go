package main

import (
	"context"
	"fmt"
	"slices"
	"strings"

	"github.com/ratchetd/ratchet/agent/dialect"
	"github.com/ratchetd/ratchet/cmd/ratchet/internal/fleet"
	"github.com/ratchetd/ratchet/cmd/ratchet/internal/show"
	"github.com/ratchetd/ratchet/executor"
	"github.com/spf13/cobra"
)

func (s *session) jobsCommand() *cobra.Command {
	var device string
	var g listFlags
	cmd := &cobra.Command{
		Use:   "jobs",
		Short: "List the jobs and how they stand",
		Long: `Jobs lists every job that is offered or that a device still reports, with the
number of devices in each state. With --device it lists one device's jobs.`,
		Args: cobra.NoArgs,
		RunE: func(cmd *cobra.Command, _ []string) error {
			if device != "" && !executor.ValidDevice(device) {
				return usageError{fmt.Errorf("--device %q: want 1 to 64 of A-Z a-z 0-9 _ . -", device)}
			}
			if device != "" {
				return s.deviceJobs(cmd.Context(), device, g)
			}
			return s.allJobs(cmd.Context(), g)
		},
	}
	cmd.Flags().StringVar(&device, "device", "", "only this `device`, one line a job")
	g.flags(cmd.Flags())
	s.link.Flags(cmd.Flags())
	_ = cmd.RegisterFlagCompletionFunc("device", s.completeDevices)
	return cmd
}

func (s *session) allJobs(ctx context.Context, g listFlags) error {
	f, err := s.readFleet(ctx, fleet.Presences, fleet.Offers("+"), fleet.Statuses("+", "+"))
	if err != nil {
		return err
	}
	lines := f.JobLines()
	return list(s, g, lines, []string{"JOB", "TO", "DEVICES", "CREATED"}, func(l *fleet.JobLine) []any {
		return []any{l.Job, toInWords(l), l.States, l.Created}
	}, f.Complete(count(len(lines), "job")))
}

func toInWords(l *fleet.JobLine) string {
	words := slices.Clone(l.To)
	for _, to := range l.Cancelled {
		words = append(words, to+" (cancelled)")
	}
	return strings.Join(words, ", ")
}

func (s *session) deviceJobs(ctx context.Context, device string, g listFlags) error {
	f, err := s.readFleet(ctx, fleet.Devices, fleet.Statuses(device, "+"))
	if err != nil {
		return err
	}
	if !f.Device(device).Said() {
		return f.Unknown(device)
	}
	lines := f.Device(device).JobLines()
	return list(s, g, lines, []string{"JOB", "STATE", "ACCEPTED", "ENDED"}, func(j dialect.JobStatus) []any {
		return []any{j.Job, show.Headline(j), j.AcceptedAt, j.EndedAt}
	}, f.Complete(count(len(lines), "job")))
}
