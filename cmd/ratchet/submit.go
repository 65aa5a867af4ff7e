package main

import (
	"bytes"
	"context"
	"errors"
	"fmt"
	"maps"
	"slices"
	"strings"
	"time"

	"github.com/ratchetd/ratchet/agent/dialect"
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
for the devices would refuse it.`,
		Example: `  ratchet submit wifi.yaml --to group/routers --watch
  ratchet submit wifi.yaml --to all --percent 10
  jq .job saved.json | ratchet submit - --to device/gw-7`,
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
	w.flags(f)
	s.link.flags(f)
	_ = cmd.RegisterFlagCompletionFunc("to", completeTo)
	return cmd
}

func completeTo(*cobra.Command, []string, string) ([]string, cobra.ShellCompDirective) {
	return []string{"all", "device/", "group/"}, cobra.ShellCompDirectiveNoFileComp | cobra.ShellCompDirectiveNoSpace
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

func validTo(to string) bool {
	scope, name, _ := strings.Cut(to, "/")
	return to == "all" || (scope == "device" || scope == "group") && executor.ValidDevice(name)
}

// submit offers the job. Whoever wants to watch it listens before it is sent,
// so that nothing is missed.
func (s *session) submit(ctx context.Context, file string, sub submission, follow bool, w watching) error {
	doc, job, err := s.readJob(file, sub.id)
	if err != nil {
		return err
	}
	c, err := s.dial(ctx)
	if err != nil {
		return err
	}
	defer c.close()
	v := newView(job.ID, w.waitOffline)
	filters := dialect.OfferFilters(c.root, job.ID)
	if follow {
		filters = v.filters(c.root)
	}
	if err := c.settle(ctx, func(m message) { v.take(m) }, filters...); err != nil {
		return err
	}
	text, err := settleText(doc, job, v.offers[job.ID], sub.force)
	if err != nil {
		return err
	}
	m := message{topic: dialect.Topic{To: sub.to, Name: job.ID}, payload: sub.payload(text)}
	if err := c.publish(ctx, m.topic, m.payload); err != nil {
		return err
	}
	s.receipt(sub, job.ID, text, follow && w.json)
	if v.take(m); !follow {
		return nil
	}
	return s.follow(ctx, c, v, w)
}

// receipt says what was sent; where JSON is to follow it keeps out of its way.
func (s *session) receipt(sub submission, id string, text []byte, aside bool) {
	out := s.out
	if aside {
		out = s.err
	}
	fmt.Fprintf(out, "%s  offered to %s%s\ndigest %s\n", id, sub.to, sub.shareInWords(), executor.Digest(text))
}

// payload is the document, in an envelope if it is for a share of the devices.
func (sub submission) payload(text []byte) []byte {
	e := dialect.Envelope{Job: string(text)}
	if sub.partial {
		e.Rollout = &executor.Rollout{Percent: sub.percent}
	}
	return e.Payload()
}

func (sub submission) shareInWords() string {
	if !sub.partial {
		return ""
	}
	return fmt.Sprintf(", %g %% of the devices", sub.percent)
}

// readJob reads and checks a job file; what is wrong is one error, a line each.
func (s *session) readJob(file, id string) (document, executor.Job, error) {
	src, err := s.read(file)
	if err != nil {
		return document{}, executor.Job{}, err
	}
	if doc, err := splitDocument(src.text); err == nil && id != "" {
		src.text = doc.with("id", id).text()
	}
	job, err := src.job()
	if err != nil {
		return document{}, job, err
	}
	doc, err := splitDocument(src.text)
	return doc, job, err
}

// settleText decides what is sent: the text that is offered already where this
// is the same job, else the document with created and expires.
func settleText(doc document, job executor.Job, earlier map[string]offer, force bool) ([]byte, error) {
	now := executor.Time{Time: time.Now().UTC().Truncate(time.Second)}
	text := complete(doc, job, now, executor.Time{Time: now.Add(defaultLife)}).text()
	if len(text) > executor.MaxDocument {
		return nil, fmt.Errorf("the document has %d bytes: at most %d are taken", len(text), executor.MaxDocument)
	}
	for _, to := range slices.Sorted(maps.Keys(earlier)) {
		o := earlier[to]
		same := complete(doc, job, o.job.Created, o.job.Expires).text()
		switch {
		case bytes.Equal(same, o.text):
			return same, nil
		case force:
		case o.cancel:
			return nil, fmt.Errorf("job %s was cancelled (%s): the devices will not run it again; take another id with --id", job.ID, to)
		default:
			return nil, fmt.Errorf("another document is offered as %s (%s): devices that know the id refuse a second one; "+
				"take another id with --id, or replace it with --force", job.ID, to)
		}
	}
	return text, nil
}

// complete writes created and expires where the author left them out. A
// recurring job has no end unless its author names one.
func complete(doc document, job executor.Job, created, expires executor.Time) document {
	if job.Expires.IsZero() && job.Schedule == "" && !expires.IsZero() {
		doc = doc.with("expires", expires.Format(time.RFC3339))
	}
	if job.Created.IsZero() && !created.IsZero() {
		doc = doc.with("created", created.Format(time.RFC3339))
	}
	return doc
}
