package main

import (
	"bufio"
	"context"
	"errors"
	"fmt"
	"maps"
	"os"
	"slices"
	"strings"
	"unicode"

	"github.com/ratchetd/ratchet/agent/dialect"
	"github.com/ratchetd/ratchet/cmd/ratchet/internal/draft"
	"github.com/ratchetd/ratchet/cmd/ratchet/internal/fleet"
	"github.com/ratchetd/ratchet/cmd/ratchet/internal/link"
	"github.com/ratchetd/ratchet/cmd/ratchet/internal/signing"
	"github.com/spf13/cobra"
	"golang.org/x/term"
)

// maxClaimed is how many of the broker's claims one message names.
const maxClaimed = 20

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
signed before it was, and for those whom --to names. Without --to it is for those
whom the key named when it signed the job; for others, who are the broker's word
alone, it asks first. What --print writes can also be given to the device itself:
ratchetd cancel JOB FILE.`,
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
		to, err = s.audiences(job, offers, key)
	}
	if err != nil {
		return err
	}
	for _, t := range to {
		if draft.Cancelled(offers[t], job, t, key) {
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

// audiences are all for whom the job is offered. The key does not sign for
// those of them whom it never named itself, unless the operator picks them:
// whoever rules the broker could make up any.
func (s *session) audiences(job string, offers map[string]fleet.Offer, key *signing.Key) ([]string, error) {
	var vouched, claimed []string
	for _, to := range slices.Sorted(maps.Keys(offers)) {
		if key == nil || draft.Vouched(offers[to], job, to, key) {
			vouched = append(vouched, to)
		} else {
			claimed = append(claimed, to)
		}
	}
	switch {
	case len(offers) == 0:
		return nil, fmt.Errorf("job %s is offered nowhere: say with --to whose it is", job)
	case len(claimed) == 0:
		return vouched, nil
	}
	picked, err := s.pick(job, claimed)
	return append(vouched, picked...), err
}

// pick lets the operator say which of those are meant whom only the broker names.
func (s *session) pick(job string, claimed []string) ([]string, error) {
	if f, ok := s.in.(*os.File); !ok || !term.IsTerminal(int(f.Fd())) {
		few := claimed[:min(len(claimed), maxClaimed)]
		return nil, fmt.Errorf("%s: nothing was signed: only the broker says that it is offered to %s, and a signed cancel names whom it is for: "+
			"say whom you mean: --to %s", job, strings.Join(few, ", "), strings.Join(few, " --to "))
	}
	fmt.Fprintf(s.err, "Only the broker says that %s is offered to these; the key did not sign it for them:\n", job)
	for _, to := range claimed {
		fmt.Fprintf(s.err, "  %s\n", to)
	}
	fmt.Fprint(s.err, "Sign a cancel for whom? Name them, or say yes for all: ")
	answer, _ := bufio.NewReader(s.in).ReadString('\n') // no answer is none of them
	picked := strings.FieldsFunc(answer, func(r rune) bool { return unicode.IsSpace(r) || r == ',' })
	if len(picked) == 1 && strings.EqualFold(picked[0], "yes") {
		return claimed, nil
	}
	for _, to := range picked {
		if !slices.Contains(claimed, to) {
			return nil, fmt.Errorf("%s: nothing was signed: %q is not in the list", job, to)
		}
	}
	if len(picked) == 0 {
		return nil, fmt.Errorf("%s: nothing was signed", job)
	}
	return picked, nil
}
