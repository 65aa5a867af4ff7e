package main

import (
	"context"
	"fmt"
	"slices"
	"strings"

	"github.com/ratchetd/ratchet/cmd/ratchet/internal/fleet"
	"github.com/ratchetd/ratchet/cmd/ratchet/internal/screen"
	"github.com/ratchetd/ratchet/cmd/ratchet/internal/show"
	"github.com/ratchetd/ratchet/executor"
	"github.com/spf13/cobra"
)

func (s *session) jobsCommand() *cobra.Command {
	var device string
	var asJSON bool
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
				return s.deviceJobs(cmd.Context(), device, asJSON)
			}
			return s.allJobs(cmd.Context(), asJSON)
		},
	}
	cmd.Flags().StringVar(&device, "device", "", "only this `device`, one line a job")
	cmd.Flags().BoolVar(&asJSON, "json", false, "print one JSON array")
	s.link.Flags(cmd.Flags())
	_ = cmd.RegisterFlagCompletionFunc("device", s.completeDevices)
	return cmd
}

func (s *session) allJobs(ctx context.Context, asJSON bool) error {
	f, err := s.readFleet(ctx, fleet.Offers("+"), fleet.Statuses("+", "+"))
	if err != nil {
		return err
	}
	lines := f.JobLines()
	if asJSON {
		return screen.JSONList(s.out, lines)
	}
	t := show.NewTable(s.out, "JOB", "TO", "DEVICES", "CREATED")
	for _, l := range lines {
		t.Row(l.Job, toInWords(l), l.States.String(), show.Time(l.Created))
	}
	return t.Flush()
}

func toInWords(l *fleet.JobLine) string {
	words := slices.Clone(l.To)
	for _, to := range l.Cancelled {
		words = append(words, to+" (cancelled)")
	}
	return strings.Join(words, ", ")
}

func (s *session) deviceJobs(ctx context.Context, device string, asJSON bool) error {
	f, err := s.readFleet(ctx, fleet.Devices, fleet.Statuses(device, "+"))
	if err != nil {
		return err
	}
	if !f.Device(device).Said() {
		return f.Unknown(device)
	}
	list := f.Device(device).JobLines()
	if asJSON {
		return screen.JSONList(s.out, list)
	}
	t := show.NewTable(s.out, "JOB", "STATE", "ACCEPTED", "ENDED")
	for _, j := range list {
		t.Row(j.Job, show.Headline(j), show.Time(j.AcceptedAt), show.Time(j.EndedAt))
	}
	return t.Flush()
}
