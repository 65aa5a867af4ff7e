package main

import (
	"context"
	"strings"

	"github.com/ratchetd/ratchet/cmd/ratchet/internal/rollout"
	"github.com/spf13/cobra"
)

// changeCommand is pause, resume, next or abort. Goes: it is carried on
// afterwards.
func (s rolloutCommands) changeCommand(do, short, long string, goes bool) *cobra.Command {
	var because string
	var detach, asJSON bool
	if goes {
		long = strings.TrimSpace(long + "\nThe command carries the rollout on, or watches who does; --detach leaves it at the change.")
	}
	cmd := &cobra.Command{
		Use:   do + " JOB",
		Short: short,
		Long:  short + ".\n\n" + long,
		Args:  cobra.ExactArgs(1),
		RunE: func(cmd *cobra.Command, args []string) error {
			return s.change(cmd.Context(), args[0], rollout.Change{Do: do, Because: because, By: who()}, detach || !goes, asJSON)
		},
	}
	f := cmd.Flags()
	f.StringVar(&because, "because", "", "the reason, for the audit log")
	f.BoolVar(&asJSON, "json", false, "print each event as one JSON object a line")
	if goes {
		f.BoolVar(&detach, "detach", false, "only change it, and let 'ratchet rollout run' carry it")
	}
	s.link.Flags(f)
	return cmd
}

func (s rolloutCommands) change(ctx context.Context, job string, change rollout.Change, detach, asJSON bool) error {
	c, r, err := s.openRollout(ctx, job)
	if err != nil {
		return err
	}
	defer c.Close()
	if err := r.Change(ctx, change); err != nil {
		return err
	}
	if err := r.Offer(ctx); err != nil {
		return err
	}
	return s.carry(ctx, r, 1, detach, asJSON)
}
