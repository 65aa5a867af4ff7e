package main

import (
	"context"
	"errors"
	"fmt"

	"github.com/ratchetd/ratchet/agent/dialect"
	"github.com/ratchetd/ratchet/cmd/ratchet/internal/draft"
	"github.com/ratchetd/ratchet/cmd/ratchet/internal/fleet"
	"github.com/ratchetd/ratchet/cmd/ratchet/internal/link"
	"github.com/ratchetd/ratchet/executor"
	"github.com/spf13/cobra"
)

type submission struct {
	draft.Terms
	id      string
	percent float64
	sign    signFlags
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
	f.StringVar(&sub.To, "to", "", "whom it is for: `device/ID`, group/NAME or all")
	f.StringVar(&sub.id, "id", "", "use this `id` instead of the file's")
	f.Float64Var(&sub.percent, "percent", 100, "offer it to this stable `share` of the devices only")
	f.BoolVar(&sub.Force, "force", false, "replace another document that is offered under this id")
	f.BoolVar(&follow, "watch", false, "watch it until it is done")
	sub.sign.flags(f)
	w.flags(f)
	s.link.Flags(f)
	_ = cmd.RegisterFlagCompletionFunc("to", completeTo)
	return cmd
}

func (sub submission) validate() error {
	switch {
	case sub.To == "":
		return errors.New("say whom it is for with --to device/ID, group/NAME or all")
	case !validTo(sub.To):
		return fmt.Errorf("--to %q: want device/ID, group/NAME or all", sub.To)
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
	j := fleet.NewJob(d.ID(), w.waitOffline)
	parts := []fleet.Part{fleet.Offers(j.ID)}
	if follow {
		parts = j.Parts()
	}
	if err := j.Read(ctx, c, parts...); err != nil {
		return err
	}
	e, err := d.Seal(sub.Terms, j.Offers(j.ID))
	if err != nil {
		return err
	}
	m := link.Message{Topic: dialect.Topic{To: sub.To, Name: j.ID}, Payload: e.Payload()}
	if err := c.Publish(ctx, m.Topic, m.Payload); err != nil {
		return err
	}
	s.receipt(sub, j.ID, e, follow && w.json)
	if j.Apply(m); !follow {
		return nil
	}
	return s.follow(ctx, c, j, w)
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
	fmt.Fprintf(out, "%s  offered to %s%s%s\ndigest %s\n", id, sub.To, sub.shareInWords(), signed, executor.Digest([]byte(e.Job)))
}

func (sub submission) shareInWords() string {
	if sub.Percent == nil {
		return ""
	}
	return fmt.Sprintf(", %g %% of the devices", sub.percent)
}
