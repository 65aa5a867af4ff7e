package main

import (
	"context"
	"errors"
	"fmt"
	"maps"
	"slices"
	"strconv"
	"strings"
	"time"

	"github.com/ratchetd/ratchet/agent/dialect"
	"github.com/ratchetd/ratchet/cmd/ratchet/internal/draft"
	"github.com/ratchetd/ratchet/cmd/ratchet/internal/fleet"
	"github.com/ratchetd/ratchet/cmd/ratchet/internal/link"
	"github.com/ratchetd/ratchet/cmd/ratchet/internal/rollout"
	"github.com/ratchetd/ratchet/executor"
	"github.com/spf13/cobra"
)

// A starting is a rollout that is to be started.
type starting struct {
	to, pauseOn           []string
	id, canary, waves     string
	key, because          string
	soak, within          time.Duration
	abortAbove, minAnswer percent
	detach, dry, ids      bool
	json                  bool
}

// percent is a share on the command line: 2 or 2%.
type percent float64

func (p *percent) String() string { return fmt.Sprintf("%g%%", float64(*p)) }
func (p *percent) Type() string   { return "share" }

func (p *percent) Set(text string) error {
	v, err := strconv.ParseFloat(strings.TrimSuffix(text, "%"), 64)
	if err != nil || !(v >= 0 && v <= 100) {
		return errors.New("want 0% to 100%")
	}
	*p = percent(v)
	return nil
}

func (s rolloutCommands) startCommand() *cobra.Command {
	st := starting{abortAbove: 2, minAnswer: 80}
	cmd := &cobra.Command{
		Use:   "start FILE --to device/ID|group/NAME|all",
		Short: "Start a rollout and carry it on",
		Long: `Start offers a job to nobody yet, writes the rollout beside it, and carries it on
until it is done, paused or aborted. Ending the command ends nothing but that:
'ratchet rollout run' carries it on.

A wave is judged when all its devices that are online are done and --min-answers of
all of them have answered; or when --within has passed, by those that are online.
Then it soaks: a device counts as succeeded when after that time it is online, or
away by its own habit (it was away when the wave was opened, or raises
broker-flapping), and has raised no critical alert since it took the job.

Exit codes: 0 the rollout is done, 3 it is paused or aborted.`,
		Example: `  ratchet rollout start wifi.yaml --to group/routers --canary '.tags.ring == "canary"' --dry-run --ids
  ratchet rollout start wifi.yaml --to all --waves 1,10,50,100 --soak 1h --pause-on disk`,
		Args: cobra.ExactArgs(1),
		RunE: func(cmd *cobra.Command, args []string) error {
			if st.ids && !st.dry {
				return usageError{errors.New("--ids goes with --dry-run; 'ratchet rollout status JOB --ids' shows those of one that was started")}
			}
			if err := checkTo(st.to); err != nil {
				return usageError{err}
			}
			return s.start(cmd.Context(), args[0], st)
		},
	}
	f := cmd.Flags()
	f.StringArrayVar(&st.to, "to", nil, "whom it is for: `device/ID`, group/NAME or all; may be repeated, and is the job's audience otherwise")
	f.StringVar(&st.id, "id", "", "use this `id` instead of the file's")
	f.StringVar(&st.canary, "canary", "", "a first wave of those devices for whose facts this `jq` is true")
	f.StringVar(&st.waves, "waves", "1,10,50,100", "the `shares` of the waves, in percent")
	spanVar(f, &st.soak, "soak", 10*time.Minute, 0, "how long a wave is watched after it is done")
	f.Var(&st.abortAbove, "abort-above", "abort when more than this share of those that answered has failed")
	f.Var(&st.minAnswer, "min-answers", "pause when fewer than this share answers")
	spanVar(f, &st.within, "within", 2*time.Hour, 0, "how long a wave waits for its devices")
	f.StringArrayVar(&st.pauseOn, "pause-on", nil, "pause when a device of it raises this `alert`; may be repeated")
	f.StringVar(&st.because, "because", "", "the reason, for the audit log")
	f.StringVar(&st.key, "sign", signFile(), "sign the job with the secret key in `file` (RATCHET_SIGN)")
	f.BoolVar(&st.detach, "detach", false, "only start it, and let 'ratchet rollout run' carry it")
	f.BoolVar(&st.dry, "dry-run", false, "show the waves, and send nothing")
	f.BoolVar(&st.ids, "ids", false, "with --dry-run: list who is in which wave")
	f.BoolVar(&st.json, "json", false, "print each event, or with --dry-run the waves, as JSON")
	s.link.Flags(f)
	_ = cmd.RegisterFlagCompletionFunc("to", s.completeTo)
	return cmd
}

func (s rolloutCommands) start(ctx context.Context, file string, st starting) error {
	d, err := draft.Read(file, st.id, s.in)
	if err != nil {
		return err
	}
	terms, plan, err := st.plan(d)
	if err != nil {
		return usageError{err}
	}
	c, r, err := s.openRollout(ctx, d.ID())
	if err != nil {
		return err
	}
	defer c.Close()
	e, err := sealRollout(d, terms, r)
	if err != nil {
		return err
	}
	plan.Digest = executor.Digest([]byte(e.Job))
	doc := rollout.Start(plan, who(), st.because, time.Now())
	for _, to := range terms.To {
		m := link.Message{Topic: dialect.Topic{To: to, Name: d.ID()}, Payload: e.Payload()}
		if !st.dry {
			if err := c.Publish(ctx, m.Topic, m.Payload); err != nil {
				return err
			}
		}
		r.Take(m)
	}
	if st.dry {
		return s.showWaves(rolloutView(r.View, doc), st.ids, st.json)
	}
	if err := r.Create(ctx, doc); err != nil {
		return err
	}
	if !st.json {
		rows := r.View.Rows(doc, time.Now())
		away := 0
		for _, row := range rows {
			if !row.Online {
				away++
			}
		}
		fmt.Fprintf(s.out, "%s  to %s in %s: reaches %s now, %d of them away\n", d.ID(), strings.Join(terms.To, ", "),
			count(len(plan.Waves), "wave"), count(len(rows), "device"), away)
	}
	return s.carry(ctx, r, 1, st.detach, st.json)
}

// plan is what the command line asks for.
func (st starting) plan(d draft.Draft) (draft.Terms, rollout.Plan, error) {
	if len(st.to) == 0 {
		st.to = d.Audience()
	}
	if len(st.to) == 0 {
		return draft.Terms{}, rollout.Plan{}, errors.New("say whom it is for with --to device/ID, group/NAME or all")
	}
	list, err := rollout.Waves(st.canary, st.waves)
	if err != nil {
		return draft.Terms{}, rollout.Plan{}, err
	}
	sign := signFlags{file: st.key}
	key, err := sign.open()
	if err != nil {
		return draft.Terms{}, rollout.Plan{}, err
	}
	p := rollout.Plan{Job: d.ID(), To: st.to, Waves: list, Soak: st.soak,
		Gates: rollout.Gates{AbortAbove: float64(st.abortAbove), MinAnswers: float64(st.minAnswer), Within: executor.Duration(st.within), PauseOn: st.pauseOn}}
	nobody := 0.0
	return draft.Terms{To: st.to, Percent: &nobody, Key: key}, p, p.Check()
}

// sealRollout is the offer for nobody yet, with which a rollout begins. What is
// there already is not touched.
func sealRollout(d draft.Draft, t draft.Terms, r *rollout.Carrier) (dialect.Envelope, error) {
	switch doc, err := r.Document(); {
	case err == nil:
		return dialect.Envelope{}, fmt.Errorf("there is a rollout of %s already, %s in wave %s: 'ratchet rollout status %s' shows it; take another id with --id", d.ID(), doc.State, doc.Waves[doc.Wave], d.ID())
	case r.Blocked() != nil:
		return dialect.Envelope{}, r.Blocked()
	}
	offers := r.View.Fleet.Offers(d.ID())
	for _, to := range slices.Sorted(maps.Keys(offers)) {
		if o := offers[to]; !o.Cancel && o.Err == nil && (o.Rollout == nil || *o.Rollout != executor.Rollout{}) {
			return dialect.Envelope{}, fmt.Errorf("job %s is offered to %s already, and a rollout begins with nobody: take another id with --id", d.ID(), offeredTo(to, o))
		}
	}
	return d.Seal(t, offers)
}

func offeredTo(to string, o fleet.Offer) string {
	if o.Rollout == nil {
		return to
	}
	return fmt.Sprintf("%s (%s)", to, o.Rollout)
}

// carry carries a rollout on in the foreground and tells the last events and what
// comes.
func (s rolloutCommands) carry(ctx context.Context, r *rollout.Carrier, last int, detach, asJSON bool) error {
	d, err := r.Document()
	if err != nil {
		return err
	}
	t := s.teller(asJSON)
	t.from(d, last)
	if detach {
		t.show(d, rollout.Seen{}, false)
		return nil
	}
	r.Show, r.Note = t.show, t.note
	if d, err = r.Run(ctx); err != nil {
		return err
	}
	t.show(d, rollout.Seen{}, true)
	if asJSON {
		if d.State != rollout.Done {
			return errJobFailed
		}
		return nil
	}
	return s.outcome(d)
}
