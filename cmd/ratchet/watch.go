package main

import (
	"context"
	"fmt"
	"slices"
	"strings"
	"time"

	"github.com/ratchetd/ratchet/cmd/ratchet/internal/fleet"
	"github.com/ratchetd/ratchet/cmd/ratchet/internal/link"
	"github.com/ratchetd/ratchet/cmd/ratchet/internal/show"
	"github.com/spf13/cobra"
	"github.com/spf13/pflag"
)

type watching struct {
	waitOffline bool
	timeout     time.Duration
	json        bool
}

func (w *watching) flags(f *pflag.FlagSet) {
	f.BoolVar(&w.waitOffline, "wait-offline", false, "wait for devices that are offline too")
	spanVar(f, &w.timeout, "timeout", 0, 0, "give up watching after this `time`")
	f.BoolVar(&w.json, "json", false, "print each status as one JSON object a line")
}

func (s *session) watchCommand() *cobra.Command {
	var w watching
	cmd := &cobra.Command{
		Use:   "watch JOB",
		Short: "Watch a job run, a bar per device",
		Long: `Watch shows a job's progress on each device that it reaches: bars on a terminal,
a line for each change elsewhere. It ends when all of these devices that are
online are done, and lists the others. Ending it stops nothing but the watching.

Each firing of a recurring job is a job of its own: 'ratchet jobs' names them.

From 20 devices on it shows one bar for all, how many are in which state, why it
failed and what is waited for.

The exit code is 3 when the job failed, was rejected or was cancelled somewhere,
and 4 when nobody whom it reaches has answered.`,
		Args:              cobra.ExactArgs(1),
		ValidArgsFunction: s.completeJobs,
		RunE: func(cmd *cobra.Command, args []string) error {
			if err := checkJobID(args[0]); err != nil {
				return usageError{err}
			}
			c, err := s.dial(cmd.Context())
			if err != nil {
				return err
			}
			defer c.Close()
			return s.watch(cmd.Context(), c, args[0], w)
		},
	}
	w.flags(cmd.Flags())
	s.link.Flags(cmd.Flags())
	return cmd
}

// checkJobID takes what can stand in a topic, the ids of firings included.
func checkJobID(id string) error {
	if id == "" || len(id) > 128 || strings.ContainsAny(id, "/+#\x00") {
		return fmt.Errorf("%q is no job id", id)
	}
	return nil
}

func (s *session) watch(ctx context.Context, c *link.Client, job string, w watching) error {
	j, _, err := s.findJob(ctx, c, job, w.waitOffline)
	if err != nil {
		return err
	}
	return s.follow(ctx, c, j, w)
}

// follow shows a job that has been read until it is done, and says how it ended.
func (s *session) follow(ctx context.Context, c *link.Client, j *fleet.Job, w watching) error {
	if w.timeout > 0 {
		var cancel context.CancelFunc
		ctx, cancel = context.WithTimeoutCause(ctx, w.timeout, fmt.Errorf("job %s is not done after %v", j.ID, w.timeout))
		defer cancel()
	}
	err := j.Follow(ctx, c, show.Job(s.out, s.err, w.json), nil)
	rows := j.Rows(time.Now())
	s.leftOut(j.Fleet)
	if !w.json {
		show.Summary(s.out, j, rows)
	}
	if err == nil {
		err = verdict(rows)
	}
	return err
}

// verdict is how a job ended that nobody waits for any more.
func verdict(rows []fleet.Row) error {
	switch {
	case slices.ContainsFunc(rows, fleet.Row.Bad):
		return errJobFailed
	case !slices.ContainsFunc(rows, func(r fleet.Row) bool { return r.Answered }):
		return errNobody
	}
	return nil
}
