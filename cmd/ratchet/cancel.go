package main

import (
	"context"
	"encoding/json"
	"fmt"
	"maps"
	"slices"

	"github.com/ratchetd/ratchet/agent/dialect"
	"github.com/spf13/cobra"
)

func (s *session) cancelCommand() *cobra.Command {
	var to []string
	cmd := &cobra.Command{
		Use:   "cancel JOB",
		Short: "End a job wherever it is offered",
		Long: `Cancel replaces the job's offers with a cancel: devices that run it stop, undo
what was begun where the step can, and report cancelled; devices that are away
do so when they come. A device where the job is already done leaves it so.

Without --to it finds out by itself where the job is offered.`,
		Args: cobra.ExactArgs(1),
		RunE: func(cmd *cobra.Command, args []string) error {
			if err := checkCancel(args[0], to); err != nil {
				return usageError{err}
			}
			c, err := s.dial(cmd.Context())
			if err != nil {
				return err
			}
			defer c.close()
			return s.cancel(cmd.Context(), c, args[0], to)
		},
	}
	cmd.Flags().StringSliceVar(&to, "to", nil, "only there: `device/ID`, group/NAME or all")
	s.link.flags(cmd.Flags())
	_ = cmd.RegisterFlagCompletionFunc("to", completeTo)
	return cmd
}

func checkCancel(job string, to []string) error {
	for _, t := range to {
		if !validTo(t) {
			return fmt.Errorf("--to %q: want device/ID, group/NAME or all", t)
		}
	}
	return checkJobID(job)
}

func (s *session) cancel(ctx context.Context, c *client, job string, to []string) error {
	r := newRoster()
	if err := c.settle(ctx, func(m message) { r.take(m) }, dialect.OfferFilters(c.root, job)...); err != nil {
		return err
	}
	offers := r.offers[job]
	if len(to) == 0 {
		to = slices.Sorted(maps.Keys(offers))
	}
	if len(to) == 0 {
		return fmt.Errorf("job %s is offered nowhere: say with --to whose it is", job)
	}
	text, err := json.Marshal(struct {
		ID     string `json:"id"`
		Cancel bool   `json:"cancel"`
	}{job, true})
	if err != nil {
		return err
	}
	for _, t := range to {
		if offers[t].cancel {
			fmt.Fprintf(s.out, "%s  was cancelled already (%s)\n", job, t)
			continue
		}
		if err := c.publish(ctx, dialect.Topic{To: t, Name: job}, text); err != nil {
			return err
		}
		fmt.Fprintf(s.out, "%s  cancelled (%s)\n", job, t)
	}
	return nil
}
