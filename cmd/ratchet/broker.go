package main

import (
	"context"
	"errors"
	"fmt"
	"time"

	"github.com/ratchetd/ratchet/cmd/ratchet/internal/link"
	"github.com/ratchetd/ratchet/cmd/ratchet/internal/measure"
	"github.com/ratchetd/ratchet/cmd/ratchet/internal/screen"
	"github.com/spf13/cobra"
)

// brokerLimit ends a check of a broker that answers nothing.
const brokerLimit = 5 * time.Minute

func (s *session) brokerCommand() *cobra.Command {
	cmd := &cobra.Command{Use: "broker", Short: "Look at the broker itself"}
	cmd.AddCommand(s.brokerCheckCommand())
	return cmd
}

func (s *session) brokerCheckCommand() *cobra.Command {
	var g listFlags
	check := &measure.Check{}
	cmd := &cobra.Command{
		Use:   "check",
		Short: "Measure what the broker really does, and say what to set",
		Long: `Check measures what a broker does with what Ratchet asks of it: how many of the
retained messages come to one who asks for all, how many it kept, how long one may
be, when it says that a device is gone, what it keeps for a device that is away.

It works below ROOT/rollouts/check, which nobody reads, and leaves nothing behind. For
what is not as it should be it says which setting to change. The exit code is then 1.`,
		Args: cobra.NoArgs,
		RunE: func(cmd *cobra.Command, _ []string) error {
			if check.Messages < 1 || check.Messages > 1_000_000 {
				return usageError{fmt.Errorf("--messages %d: want 1 to 1000000", check.Messages)}
			}
			ctx, cancel := context.WithTimeoutCause(cmd.Context(), brokerLimit, fmt.Errorf("the check is not done after %v", brokerLimit))
			defer cancel()
			return s.brokerCheck(ctx, check, g)
		},
	}
	g.flags(cmd.Flags())
	cmd.Flags().IntVar(&check.Messages, "messages", 3000, "how many retained messages are tried")
	s.link.Flags(cmd.Flags())
	return cmd
}

func (s *session) brokerCheck(ctx context.Context, check *measure.Check, g listFlags) error {
	if err := s.ready(); err != nil {
		return err
	}
	check.Options, check.Say = s.link, func(what string) { fmt.Fprintf(s.err, "%s ...\n", what) }
	rows, err := check.Run(ctx)
	bad := 0
	ending := list(s, g, rows, []string{"WHAT", "FOUND", "WANTED", "GOOD"}, func(r measure.Row) []any {
		good := "yes"
		if !r.Good {
			good = "NO"
			bad++
		}
		return []any{r.What, r.Found, r.Wanted, good}
	}, "")
	if err = errors.Join(err, ending); err != nil {
		return err
	}
	s.remedies(rows)
	if bad > 0 {
		return fmt.Errorf("the broker does not do %d of these as it should", bad)
	}
	return nil
}

// remedies says what to set for what is not as it should be.
func (s *session) remedies(rows []measure.Row) {
	said := map[string]bool{}
	for _, r := range rows {
		if r.Good || said[r.Remedy] {
			continue
		}
		said[r.Remedy] = true
		fmt.Fprintf(s.err, "\n%s: set\n", screen.Line(r.What))
		for i, what := range measure.Remedies[r.Remedy] {
			if what != "" {
				fmt.Fprintf(s.err, "  %-10s %s\n", measure.Brokers[i], what)
			}
		}
	}
}

// ready makes the options of the connection whole, and checks them.
func (s *session) ready() error {
	if err := s.complete(); err != nil {
		return err
	}
	s.link.Fill("", "", "", "", "", "", link.DefaultRoot)
	if err := s.link.Validate(); err != nil {
		return usageError{err}
	}
	return nil
}
