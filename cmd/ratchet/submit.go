package main

import (
	"context"
	"errors"
	"fmt"
	"time"

	"github.com/ratchetd/ratchet/agent/dialect"
	"github.com/ratchetd/ratchet/cmd/ratchet/internal/link"
	"github.com/ratchetd/ratchet/cmd/ratchet/internal/signing"
	"github.com/ratchetd/ratchet/executor"
	"github.com/spf13/cobra"
)

// defaultLife is how long a job that names no expires may wait for its devices.
const defaultLife = 30 * 24 * time.Hour

type submission struct {
	to, id  string
	percent float64
	force   bool
	partial bool // percent was given
	key     *signing.Key
	signFlags
}

func (s *session) submitCommand() *cobra.Command {
	var sub submission
	var follow bool
	var w watching
	cmd := &cobra.Command{
		Use:   "submit FILE --to device/ID|group/NAME|all",
		Short: "Send a job to devices",
		Long: `Submit checks a job (YAML or JSON, - reads standard input) and offers it to one
device, a group or all. The offer stays at the broker: devices that are away get
it when they come.

A job without created gets one, and expires 30 days later, unless it has a
schedule. Submitting the same file again changes nothing; with another --percent
it widens the rollout. Another document under an id that is in use is refused,
for the devices would refuse it.

With --sign the job is signed; where it names no audience, --to is written as
one. Widening the rollout of a signed job needs no key. FILE may also be an
envelope, as --print writes it; then its text and signature are sent as they are.`,
		Example: `  ratchet submit wifi.yaml --to group/routers --watch
  ratchet submit wifi.yaml --to all --percent 10
  ratchet submit wifi.yaml --to group/routers --sign jobs.key --print >signed.json
  ratchet submit signed.json --to group/routers --percent 10`,
		Args: cobra.ExactArgs(1),
		RunE: func(cmd *cobra.Command, args []string) error {
			sub.partial = cmd.Flags().Changed("percent")
			if err := sub.validate(); err != nil {
				return usageError{err}
			}
			return s.submit(cmd.Context(), args[0], sub, follow, w)
		},
	}
	f := cmd.Flags()
	f.StringVar(&sub.to, "to", "", "whom it is for: `device/ID`, group/NAME or all")
	f.StringVar(&sub.id, "id", "", "use this `id` instead of the file's")
	f.Float64Var(&sub.percent, "percent", 100, "offer it to this stable `share` of the devices only")
	f.BoolVar(&sub.force, "force", false, "replace another document that is offered under this id")
	f.BoolVar(&follow, "watch", false, "watch it until it is done")
	sub.signFlags.flags(f)
	w.flags(f)
	s.link.Flags(f)
	_ = cmd.RegisterFlagCompletionFunc("to", completeTo)
	return cmd
}

func (sub submission) validate() error {
	switch {
	case sub.to == "":
		return errors.New("say whom it is for with --to device/ID, group/NAME or all")
	case !validTo(sub.to):
		return fmt.Errorf("--to %q: want device/ID, group/NAME or all", sub.to)
	case sub.id != "" && !executor.ValidID(sub.id):
		return fmt.Errorf("--id %q: want 1 to 64 of A-Z a-z 0-9 _ -", sub.id)
	case sub.percent < 0 || sub.percent > 100:
		return fmt.Errorf("--percent %v: want 0 to 100", sub.percent)
	}
	return nil
}

// submit offers the job. Whoever wants to watch it listens before it is sent,
// so that nothing is missed.
func (s *session) submit(ctx context.Context, file string, sub submission, follow bool, w watching) error {
	d, err := s.readJob(file, sub.id)
	if err != nil {
		return err
	}
	if sub.key, err = sub.open(); err != nil {
		return err
	}
	if sub.print {
		e, err := sub.settle(d, nil)
		if err == nil {
			_, err = fmt.Fprintf(s.out, "%s\n", e.Payload())
		}
		return err
	}
	c, err := s.dial(ctx)
	if err != nil {
		return err
	}
	defer c.Close()
	v := newView(d.job.ID, w.waitOffline)
	filters := dialect.OfferFilters(c.Root(), d.job.ID)
	if follow {
		filters = v.filters(c.Root())
	}
	if err := c.Settle(ctx, func(m link.Message) { v.take(m) }, filters...); err != nil {
		return err
	}
	e, err := sub.settle(d, v.offers[d.job.ID])
	if err != nil {
		return err
	}
	m := link.Message{Topic: dialect.Topic{To: sub.to, Name: d.job.ID}, Payload: e.Payload()}
	if err := c.Publish(ctx, m.Topic, m.Payload); err != nil {
		return err
	}
	s.receipt(sub, d.job.ID, e, follow && w.json)
	if v.take(m); !follow {
		return nil
	}
	return s.follow(ctx, c, v, w)
}

// receipt says what was sent; where JSON is to follow it keeps out of its way.
func (s *session) receipt(sub submission, id string, e dialect.Envelope, aside bool) {
	out := s.out
	if aside {
		out = s.err
	}
	signed := ""
	if e.Signature != "" {
		signed = ", signed"
	}
	fmt.Fprintf(out, "%s  offered to %s%s%s\ndigest %s\n", id, sub.to, sub.shareInWords(), signed, executor.Digest([]byte(e.Job)))
}

func (sub submission) shareInWords() string {
	if !sub.partial {
		return ""
	}
	return fmt.Sprintf(", %g %% of the devices", sub.percent)
}
