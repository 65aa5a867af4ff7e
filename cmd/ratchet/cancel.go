package main

import (
	"context"
	"errors"
	"fmt"
	"maps"
	"slices"

	"github.com/ratchetd/ratchet/agent/dialect"
	"github.com/ratchetd/ratchet/cmd/ratchet/internal/draft"
	"github.com/ratchetd/ratchet/cmd/ratchet/internal/fleet"
	"github.com/ratchetd/ratchet/cmd/ratchet/internal/link"
	"github.com/ratchetd/ratchet/cmd/ratchet/internal/signing"
	"github.com/spf13/cobra"
)

func (s *session) cancelCommand() *cobra.Command {
	var to []string
	var g signFlags
	cmd := &cobra.Command{
		Use:   "cancel JOB",
		Short: "End a job wherever it is offered",
		Long: `Cancel replaces the job's offers with a cancel: devices that run it stop, undo
what was begun where the step can, and report cancelled; devices that are away
do so when they come. A device where the job is already done leaves it so.

Without --to it finds out by itself where the job is offered. Devices with
policy.keys take a signed cancel only: --sign. It is for jobs of this id that were
signed before it was, and for those whom --to names. What --print writes can also
be given to the device itself: ratchetd cancel JOB FILE.`,
		Args: cobra.ExactArgs(1),
		RunE: func(cmd *cobra.Command, args []string) error {
			if err := checkCancel(args[0], to, g); err != nil {
				return usageError{err}
			}
			return s.cancel(cmd.Context(), args[0], to, g)
		},
	}
	cmd.Flags().StringSliceVar(&to, "to", nil, "only there: `device/ID`, group/NAME or all")
	g.flags(cmd.Flags())
	s.link.Flags(cmd.Flags())
	_ = cmd.RegisterFlagCompletionFunc("to", completeTo)
	return cmd
}

func checkCancel(job string, to []string, g signFlags) error {
	if g.print && g.file != "" && len(to) == 0 {
		return errors.New("a signed cancel names those whom it is meant for: say with --to device/ID, group/NAME or all")
	}
	for _, t := range to {
		if !validTo(t) {
			return fmt.Errorf("--to %q: want device/ID, group/NAME or all", t)
		}
	}
	return checkJobID(job)
}

func (s *session) cancel(ctx context.Context, job string, to []string, g signFlags) error {
	key, err := g.open()
	if err != nil {
		return err
	}
	if g.print {
		text, err := draft.Cancel(job, to, key)
		if err == nil {
			err = s.out.Exact(text)
		}
		return err
	}
	c, err := s.dial(ctx)
	if err != nil {
		return err
	}
	defer c.Close()
	return s.sendCancel(ctx, c, job, to, key)
}

func (s *session) sendCancel(ctx context.Context, c *link.Client, job string, to []string, key *signing.Key) error {
	f, err := fleet.Read(ctx, c, fleet.Offers(job))
	if err != nil {
		return err
	}
	s.leftOut(f)
	offers := f.Offers(job)
	if len(to) == 0 {
		to = slices.Sorted(maps.Keys(offers))
	}
	if len(to) == 0 {
		return fmt.Errorf("job %s is offered nowhere: say with --to whose it is", job)
	}
	for _, t := range to {
		if offers[t].Cancel && (offers[t].Signature != "" || key == nil) {
			fmt.Fprintf(s.out, "%s  was cancelled already (%s)\n", job, t)
			continue
		}
		text, err := draft.Cancel(job, []string{t}, key)
		if err == nil {
			err = c.Publish(ctx, dialect.Topic{To: t, Name: job}, text)
		}
		if err != nil {
			return err
		}
		fmt.Fprintf(s.out, "%s  cancelled (%s)\n", job, t)
	}
	return nil
}
