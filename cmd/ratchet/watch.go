package main

import (
	"context"
	"fmt"
	"io"
	"slices"
	"strings"
	"time"

	"github.com/ratchetd/ratchet/agent/dialect"
	"github.com/ratchetd/ratchet/cmd/ratchet/internal/link"
	"github.com/spf13/cobra"
	"github.com/spf13/pflag"
)

// tick is how often the display is brought up to date.
const tick = 100 * time.Millisecond

// refreshEvery is how often all that is retained is asked for again.
const refreshEvery = 30 * time.Second

type watching struct {
	waitOffline bool
	timeout     time.Duration
	json        bool
}

func (w *watching) flags(f *pflag.FlagSet) {
	f.BoolVar(&w.waitOffline, "wait-offline", false, "wait for devices that are offline too")
	f.DurationVar(&w.timeout, "timeout", 0, "give up watching after this `time`")
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

The exit code is 3 when the job failed, was rejected or was cancelled somewhere.`,
		Args: cobra.ExactArgs(1),
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
	v := newView(job, w.waitOffline)
	if err := c.Settle(ctx, func(m link.Message) { v.take(m) }, v.filters(c.Root())...); err != nil {
		return err
	}
	if len(v.offers[job]) == 0 && len(v.rows(time.Now())) == 0 {
		return fmt.Errorf("no job %s: nothing is offered or reported under that id; 'ratchet jobs' lists all", job)
	}
	return s.follow(ctx, c, v, w)
}

// follow shows a view that has settled until the job is done, and says how it
// ended.
func (s *session) follow(ctx context.Context, c *link.Client, v *view, w watching) error {
	if w.timeout > 0 {
		var cancel context.CancelFunc
		ctx, cancel = context.WithTimeoutCause(ctx, w.timeout, fmt.Errorf("job %s is not done after %v", v.job, w.timeout))
		defer cancel()
	}
	err := v.follow(ctx, c, s.display(w.json, s.err))
	rows := v.rows(time.Now())
	if !w.json {
		summarize(s.out, rows)
	}
	if err == nil && slices.ContainsFunc(rows, row.bad) {
		return errJobFailed
	}
	return err
}

// follow keeps the view and the display up to date until nothing is to be
// waited for.
func (v *view) follow(ctx context.Context, c *link.Client, d display) error {
	for _, r := range v.rows(time.Now()) {
		if r.answered {
			d.tell(r.status)
		}
	}
	beat, again := time.NewTicker(tick), time.NewTicker(refreshEvery)
	defer beat.Stop()
	defer again.Stop()
	for {
		rows := v.rows(time.Now())
		d.draw(rows)
		if !v.waits(rows) {
			return nil
		}
		if err := v.listen(ctx, c, d, beat.C); err != nil {
			return err
		}
		select {
		case <-again.C:
			c.Refresh()
		default:
		}
	}
}

// listen takes what comes until the next beat.
func (v *view) listen(ctx context.Context, c *link.Client, d display, beat <-chan time.Time) error {
	for {
		select {
		case m := <-c.Feed():
			if news, ok := v.take(m); ok {
				d.tell(news)
			}
		case err := <-c.Lost():
			d.note(fmt.Sprintf("ratchet: lost the broker (%v), connecting again", err))
		case text := <-v.notes:
			d.note(text)
		case <-beat:
			return nil
		case <-ctx.Done():
			return context.Cause(ctx)
		}
	}
}

func (v *view) filters(root string) []string {
	return append(dialect.OfferFilters(root, v.job),
		dialect.Topic{Device: "+", Part: "state"}.Below(root),
		dialect.Topic{Device: "+", Part: "facts"}.Below(root),
		dialect.Topic{Device: "+", Part: "jobs", Name: v.job}.Below(root))
}

// summarize says how the job stands, and where it needs somebody's eye.
func summarize(out io.Writer, rows []row) {
	var counts stateCounts
	for _, r := range rows {
		if r.answered {
			counts.add(r.status.State)
		}
	}
	if len(rows) == 0 {
		fmt.Fprintln(out, "No device is known that this job reaches. The offer waits at the broker.")
		return
	}
	for _, r := range rows {
		switch {
		case r.bad():
			fmt.Fprintf(out, "%s: %s\n", r.device, headline(r.status))
		case !r.online && !r.final():
			fmt.Fprintf(out, "%s: offline, %s\n", r.device, r.lastWord())
		}
	}
	if s := counts.String(); s != "" {
		fmt.Fprintln(out, s)
	}
}
