package main

import (
	"context"
	"fmt"
	"maps"
	"slices"
	"strings"
	"time"

	"github.com/ratchetd/ratchet/cmd/ratchet/internal/fleet"
	"github.com/ratchetd/ratchet/cmd/ratchet/internal/link"
	"github.com/ratchetd/ratchet/cmd/ratchet/internal/screen"
	"github.com/ratchetd/ratchet/cmd/ratchet/internal/show"
	"github.com/spf13/cobra"
)

func (s *session) jobCommand() *cobra.Command {
	var failure string
	var asJSON bool
	cmd := &cobra.Command{
		Use:   "job JOB",
		Short: "Say how a job stands and why it failed",
		Long: `Job shows one job over the fleet: each step with the devices in each state and the
slowest of them, and above all why it failed. Failures are grouped by step and
reason, where numbers, times and addresses do not count, those of most devices
first. F1 and so on are their handles, for --failure here and for 'ratchet retry'.

A device where it failed is untouched (nothing had begun that changes it), restored
(all was taken back) or changed.`,
		Args: cobra.ExactArgs(1),
		RunE: func(cmd *cobra.Command, args []string) error {
			if err := checkJobID(args[0]); err != nil {
				return usageError{err}
			}
			return s.job(cmd.Context(), args[0], failure, asJSON)
		},
		ValidArgsFunction: s.completeJobs,
	}
	cmd.Flags().StringVar(&failure, "failure", "", "only this failure, such as `F1`, with all its devices")
	cmd.Flags().BoolVar(&asJSON, "json", false, "print one JSON object")
	s.link.Flags(cmd.Flags())
	return cmd
}

// readJob reads all that is known of a job, of which something must be.
func (s *session) readJob(ctx context.Context, id string) (*fleet.Job, []fleet.Row, error) {
	c, err := s.dial(ctx)
	if err != nil {
		return nil, nil, err
	}
	defer c.Close()
	j, rows, err := s.findJob(ctx, c, id, false)
	if err == nil {
		s.leftOut(j.Fleet)
	}
	return j, rows, err
}

// findJob reads what the broker has of a job; that it has nothing is an error.
func (s *session) findJob(ctx context.Context, c *link.Client, id string, waitOffline bool) (*fleet.Job, []fleet.Row, error) {
	j := fleet.NewJob(id, waitOffline)
	if err := j.Read(ctx, c, j.Parts()...); err != nil {
		return nil, nil, err
	}
	rows := j.Rows(time.Now())
	if len(j.Offers(id)) == 0 && len(rows) == 0 {
		s.leftOut(j.Fleet)
		return nil, nil, fmt.Errorf("no job %s: nothing is offered or reported under that id; 'ratchet jobs' lists all", id)
	}
	return j, rows, nil
}

// A jobReport is all that is known of a job.
type jobReport struct {
	Job      string           `json:"job"`
	To       []string         `json:"to"`
	States   fleet.Counts     `json:"states"`
	Steps    []fleet.StepLine `json:"steps"`
	Failures []fleet.Failure  `json:"failures"`
	Waits    []fleet.Wait     `json:"waits"`
}

func (s *session) job(ctx context.Context, id, failure string, asJSON bool) error {
	j, rows, err := s.readJob(ctx, id)
	if err != nil {
		return err
	}
	r := jobReport{Job: id, To: whereOffered(j), States: fleet.Count(rows), Steps: j.Steps(rows), Failures: j.Failures(rows), Waits: j.Unfinished(rows)}
	if failure != "" {
		f, err := pickFailure(r.Failures, failure)
		if err != nil {
			return err
		}
		return s.oneFailure(f, asJSON)
	}
	if asJSON {
		return s.out.JSON(r)
	}
	fmt.Fprintf(s.out, "%s  %s\n", id, screen.Line(strings.Join(r.To, ", ")))
	t := show.NewTable(s.out, "STEP", "KIND", "DEVICES", "SLOWEST", "CUTS")
	for _, l := range r.Steps {
		t.Row(l.Step, l.Kind, l.States.String(), slowest(l), fmt.Sprint(l.Cuts))
	}
	if err := t.Flush(); err != nil {
		return err
	}
	show.Failures(s.out, r.Failures)
	show.Unfinished(s.out, r.Waits)
	fmt.Fprintln(s.out, show.CountOf(rows))
	return nil
}

func whereOffered(j *fleet.Job) []string {
	var to []string
	offers := j.Offers(j.ID)
	for _, t := range slices.Sorted(maps.Keys(offers)) {
		if offers[t].Cancel {
			t += " (cancelled)"
		}
		to = append(to, t)
	}
	return to
}

func slowest(l fleet.StepLine) string {
	if l.Slowest == "" {
		return ""
	}
	return fmt.Sprintf("%v on %s", time.Duration(l.Millis)*time.Millisecond, l.Slowest)
}

func pickFailure(all []fleet.Failure, handle string) (fleet.Failure, error) {
	for _, f := range all {
		if strings.EqualFold(f.Handle, handle) {
			return f, nil
		}
	}
	return fleet.Failure{}, fmt.Errorf("no failure %s: the job has %d; 'ratchet job' names them", handle, len(all))
}

func (s *session) oneFailure(f fleet.Failure, asJSON bool) error {
	if asJSON {
		return s.out.JSON(f)
	}
	show.Failures(s.out, []fleet.Failure{f})
	for _, d := range f.Devices {
		fmt.Fprintln(s.out, screen.Line(d))
	}
	return nil
}
