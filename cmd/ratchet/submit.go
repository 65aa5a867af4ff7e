package main

import (
	"context"
	"errors"
	"fmt"
	"slices"
	"strings"
	"time"

	"github.com/ratchetd/ratchet/agent/dialect"
	"github.com/ratchetd/ratchet/cmd/ratchet/internal/draft"
	"github.com/ratchetd/ratchet/cmd/ratchet/internal/fleet"
	"github.com/ratchetd/ratchet/cmd/ratchet/internal/link"
	"github.com/ratchetd/ratchet/cmd/ratchet/internal/rollout"
	"github.com/ratchetd/ratchet/cmd/ratchet/internal/screen"
	"github.com/ratchetd/ratchet/executor"
	"github.com/spf13/cobra"
)

// maxNamed is how many of those that a job goes to are named.
const maxNamed = 5

type submission struct {
	draft.Terms
	id      string
	percent float64
	sign    signFlags
	dry     bool
}

func (s *session) submitCommand() *cobra.Command {
	var sub submission
	var follow bool
	var w watching
	cmd := &cobra.Command{
		Use:   "submit FILE --to device/ID|group/NAME|all",
		Short: "Send a job to devices",
		Long: `Submit checks a job (YAML or JSON, - reads standard input) and offers it to
devices, groups or all; --to may be given many times. The offer stays at the
broker: devices that are away get it when they come. It says how many devices
that reaches by what is known now, and what they know of the job already. With
--watch it waits 10 s for one of them where none is online: it may be starting.

A job without created gets one, and expires 30 days later, unless it has a
schedule. Submitting the same file again changes nothing, and devices that are done
with the job do not run it again; with another --percent it widens the rollout.
Another document under an id that is in use is refused, for the devices would
refuse it; so is what would let devices begin whose wave of a rollout is not open.

With --sign the job is signed; where it names no audience, --to is written as
one. Widening the rollout of a signed job needs no key. FILE may also be an
envelope, as --print writes it; then its text and signature are sent as they are.`,
		Example: `  ratchet submit wifi.yaml --to group/routers --watch
  ratchet submit wifi.yaml --to all --percent 10
  ratchet submit wifi.yaml --to group/routers --sign jobs.key --print >signed.json
  ratchet submit signed.json --to group/routers --percent 10`,
		Args: cobra.ExactArgs(1),
		RunE: func(cmd *cobra.Command, args []string) error {
			if cmd.Flags().Changed("percent") {
				sub.Percent = &sub.percent
			}
			if err := sub.validate(); err != nil {
				return usageError{err}
			}
			return s.submit(cmd.Context(), args[0], sub, follow, w)
		},
	}
	f := cmd.Flags()
	f.StringSliceVar(&sub.To, "to", nil, "whom it is for: `device/ID`, group/NAME or all; may be given many times")
	f.StringVar(&sub.id, "id", "", "use this `id` instead of the file's")
	f.Float64Var(&sub.percent, "percent", 100, "offer it to this stable `share` of the devices only")
	f.BoolVar(&sub.Force, "force", false, "replace another document that is offered under this id, or reach beyond the waves of its rollout")
	f.BoolVar(&sub.dry, "dry-run", false, "say whom it would reach, and send nothing")
	f.BoolVar(&follow, "watch", false, "watch it until it is done")
	sub.sign.flags(f)
	w.flags(f)
	s.link.Flags(f)
	_ = cmd.RegisterFlagCompletionFunc("to", s.completeTo)
	return cmd
}

func (sub submission) validate() error {
	switch {
	case len(sub.To) == 0:
		return errors.New("say whom it is for with --to device/ID, group/NAME or all")
	case sub.id != "" && !executor.ValidID(sub.id):
		return fmt.Errorf("--id %q: want 1 to 64 of A-Z a-z 0-9 _ -", sub.id)
	case !(sub.percent >= 0 && sub.percent <= 100): // nor is NaN
		return fmt.Errorf("--percent %v: want 0 to 100", sub.percent)
	}
	return checkTo(sub.To)
}

// submit offers the job. Whoever wants to watch it listens before it is sent,
// so that nothing is missed.
func (s *session) submit(ctx context.Context, file string, sub submission, follow bool, w watching) error {
	d, err := draft.Read(file, sub.id, s.in)
	if err != nil {
		return err
	}
	if sub.Key, err = sub.sign.open(); err != nil {
		return err
	}
	if sub.sign.print {
		e, err := d.Seal(sub.Terms, nil)
		if err == nil {
			err = s.out.Exact(e.Payload())
		}
		return err
	}
	c, err := s.dial(ctx)
	if err != nil {
		return err
	}
	defer c.Close()
	return s.offer(ctx, c, d, sub, follow, w)
}

// offer sends a draft, and shows how it goes on where that is wanted.
func (s *session) offer(ctx context.Context, c *link.Client, d draft.Draft, sub submission, follow bool, w watching) error {
	j := fleet.NewJob(d.ID(), w.waitOffline)
	if err := j.Read(ctx, c, append(j.Parts(), fleet.Rollouts(j.ID))...); err != nil {
		return err
	}
	e, err := d.Seal(sub.Terms, j.Offers(j.ID))
	if err != nil {
		return err
	}
	if err := rollout.Beside(j.ID, j.Rollouts()[j.ID], e.Rollout); err != nil {
		if !sub.Force {
			return fmt.Errorf("%w; --force sends it beside the rollout", err)
		}
		fmt.Fprintf(s.err, "ratchet: %s\n", screen.Line(err.Error()))
	}
	if err := sub.send(ctx, c, j, e); err != nil {
		return err
	}
	s.receipt(sub, j, e, follow && w.json)
	if sub.dry {
		return nil
	}
	s.sayUnkept(ctx, j.ID, sub.To, e.Payload())
	if !follow {
		return nil
	}
	s.await(ctx, c, j, w)
	return s.follow(ctx, c, j, w)
}

// startPatience is how long a submitted job waits for a device that may just be
// starting: its first connection has a spread of 5 s, and its broker's answers.
const startPatience = 10 * time.Second

// await waits until one of those whom the job reaches is there, for a while.
func (s *session) await(ctx context.Context, c *link.Client, j *fleet.Job, w watching) {
	there := func(rows []fleet.Row) bool {
		return slices.ContainsFunc(rows, func(r fleet.Row) bool { return r.Online || r.Final() })
	}
	if there(j.Rows(time.Now())) {
		return
	}
	patience := startPatience
	if w.timeout > 0 {
		patience = min(patience, w.timeout)
	}
	fmt.Fprintf(s.err, "nobody whom it reaches is online: waiting %v for a device that is just starting\n", patience)
	ctx, cancel := context.WithTimeout(ctx, patience)
	defer cancel()
	_, _ = j.Until(ctx, c, there) // where nobody comes the summary says so
}

// send offers the job to all that it is for, and tells the view.
func (sub submission) send(ctx context.Context, c *link.Client, j *fleet.Job, e dialect.Envelope) error {
	for _, to := range sub.To {
		m := link.Message{Topic: dialect.Topic{To: to, Name: j.ID}, Payload: e.Payload()}
		if !sub.dry {
			if err := c.Publish(ctx, m.Topic, m.Payload); err != nil {
				return err
			}
		}
		j.Apply(m)
	}
	return nil
}

// receipt says what was sent, whom that reaches and what they know of it already;
// where JSON is to follow it keeps out of its way.
func (s *session) receipt(sub submission, j *fleet.Job, e dialect.Envelope, aside bool) {
	out := s.out
	if aside {
		out = s.err
	}
	signed, done := "", "offered to"
	if e.Signature != "" {
		signed = ", signed"
	}
	if sub.dry {
		done = "would be offered to"
	}
	fmt.Fprintf(out, "%s  %s %s%s%s\ndigest %s\n", j.ID, done, recipients(sub.To), sub.shareInWords(), signed, executor.Digest([]byte(e.Job)))
	r := j.Reach(sub.To, j.Rows(time.Now()))
	fmt.Fprintf(out, "reaches %s now, %d of them away\n", count(r.Devices, "device"), r.Away)
	for _, why := range r.Nobody {
		fmt.Fprintln(out, screen.Line(why))
	}
	if words := r.Done.String(); words != "" {
		fmt.Fprintf(out, "done already: %s: these devices do not run it again; 'ratchet retry %s' is for those where it failed, --id makes it another job\n", words, j.ID)
	}
	if n := len(r.Others); n > 0 {
		fmt.Fprintf(out, "%s another document under this id and will refuse this one: take another id with --id\n", count(n, "device knows", "devices know"))
	}
	s.leftOut(j.Fleet)
}

// recipients names those that something goes to, or only how many they are.
func recipients(to []string) string {
	if len(to) <= maxNamed {
		return strings.Join(to, ", ")
	}
	return fmt.Sprintf("%s and %d more", strings.Join(to[:maxNamed], ", "), len(to)-maxNamed)
}

// count is such as "1 device" or "2 devices".
func count(n int, one string, many ...string) string {
	if n == 1 {
		return "1 " + one
	}
	return fmt.Sprintf("%d %s", n, append(many, one+"s")[0])
}

func (sub submission) shareInWords() string {
	if sub.Percent == nil {
		return ""
	}
	return fmt.Sprintf(", %g %% of the devices", sub.percent)
}
