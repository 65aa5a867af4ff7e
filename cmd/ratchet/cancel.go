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
	"time"
	"unicode"

	"github.com/ratchetd/ratchet/agent/dialect"
	"github.com/ratchetd/ratchet/cmd/ratchet/internal/draft"
	"github.com/ratchetd/ratchet/cmd/ratchet/internal/fleet"
	"github.com/ratchetd/ratchet/cmd/ratchet/internal/link"
	"github.com/ratchetd/ratchet/cmd/ratchet/internal/screen"
	"github.com/ratchetd/ratchet/cmd/ratchet/internal/signing"
	"github.com/ratchetd/ratchet/executor"
	"github.com/spf13/cobra"
	"golang.org/x/term"
)

// maxClaimed is how many of the broker's claims one message names.
const maxClaimed = 20

// A cancelCommand is `ratchet cancel`.
type cancelCommand struct{ *session }

func (s cancelCommand) command() *cobra.Command {
	var to []string
	var g signFlags
	var a answers
	cmd := &cobra.Command{
		Use:   "cancel JOB",
		Short: "End a job wherever it is offered",
		Long: `Cancel replaces the job's offers with a cancel: devices that run it stop, undo
what was begun where the step can, and report cancelled; devices that are away
do so when they come. A device where the job is already done leaves it so. It
waits for the answers of devices that are online, and names those that go on.

Without --to it finds out by itself where the job is offered. Devices with
policy.keys take a signed cancel only: --sign, which a job that was signed wants. It is for jobs of this id that were
signed before it was, and for those whom --to names. Without --to it is for those
whom the key named when it signed the job; for others, who are the broker's word
alone, it asks first. What --print writes can also be given to the device itself:
ratchetd cancel JOB FILE.`,
		Args:              cobra.ExactArgs(1),
		ValidArgsFunction: s.completeJobs,
		RunE: func(cmd *cobra.Command, args []string) error {
			if err := checkCancel(args[0], to, g); err != nil {
				return usageError{err}
			}
			return s.cancel(cmd.Context(), args[0], to, g, a)
		},
	}
	cmd.Flags().StringSliceVar(&to, "to", nil, "only there: `device/ID`, group/NAME or all")
	g.flags(cmd.Flags())
	cmd.Flags().BoolVar(&a.unsigned, "unsigned", false, "send it without a signature although the job has one")
	spanVar(cmd.Flags(), &a.within, "timeout", 30*time.Second, 0, "how long to wait for answers; 0 does not wait")
	s.link.Flags(cmd.Flags())
	_ = cmd.RegisterFlagCompletionFunc("to", s.completeTo)
	return cmd
}

func checkCancel(job string, to []string, g signFlags) error {
	if g.print && g.file != "" && len(to) == 0 {
		return errors.New("a signed cancel names those whom it is meant for: say with --to device/ID, group/NAME or all")
	}
	if err := checkTo(to); err != nil {
		return err
	}
	return checkJobID(job)
}

// answers say how those of the devices are dealt with.
type answers struct {
	unsigned bool
	within   time.Duration
}

func (s cancelCommand) cancel(ctx context.Context, job string, to []string, g signFlags, a answers) error {
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
	j := fleet.NewJob(job, false)
	if err := j.Read(ctx, c, j.Parts()...); err != nil {
		return err
	}
	s.leftOut(j.Fleet)
	if by := signedBy(j); key == nil && by != "" && !a.unsigned {
		return usageError{fmt.Errorf("%s: nothing was sent: the job is signed (%s), and devices that want signatures refuse a cancel without one, "+
			"which would replace the signed offer: sign it with --sign KEY, or send it all the same with --unsigned", job, by)}
	}
	sent, err := s.sendCancel(ctx, c, j, to, key)
	if err != nil || len(sent) == 0 || a.within == 0 {
		return err
	}
	return s.cancelled(ctx, c, j, sent, key, a.within)
}

// signedBy says by what it is known that the job is signed, or nothing.
func signedBy(j *fleet.Job) string {
	for to, o := range j.Offers(j.ID) {
		if o.Signature != "" && !o.Cancel {
			return "as it is offered to " + to
		}
	}
	for _, r := range j.Rows(time.Now()) {
		if r.Status.By != "" {
			return fmt.Sprintf("%s has it from key %s", r.Device, r.Status.By)
		}
	}
	return ""
}

// sendCancel replaces the offers, and returns those whom it was sent to.
func (s cancelCommand) sendCancel(ctx context.Context, c *link.Client, j *fleet.Job, to []string, key *signing.Key) ([]string, error) {
	offers := j.Offers(j.ID)
	if len(to) == 0 {
		var err error
		if to, err = s.audiences(j.ID, offers, key); err != nil {
			return nil, err
		}
	}
	var sent []string
	for _, t := range to {
		if draft.Cancelled(offers[t], j.ID, t, key) {
			fmt.Fprintf(s.out, "%s  was cancelled already (%s)\n", j.ID, t)
			continue
		}
		text, err := draft.Cancel(j.ID, []string{t}, key)
		m := link.Message{Topic: dialect.Topic{To: t, Name: j.ID}, Payload: text}
		if err == nil {
			err = c.Publish(ctx, m.Topic, m.Payload)
		}
		if err != nil {
			return sent, err
		}
		sent = append(sent, t)
		fmt.Fprintf(s.out, "%s  cancel sent to %s\n", j.ID, t)
	}
	return sent, nil
}

// cancelled waits until all devices that the cancel was sent to, are online and had the job under way have
// taken the cancel, and says who has not.
func (s cancelCommand) cancelled(ctx context.Context, c *link.Client, j *fleet.Job, sent []string, key *signing.Key, within time.Duration) error {
	had := map[string]bool{}
	for _, r := range j.Rows(time.Now()) {
		had[r.Device] = r.Answered && !r.Final() && j.Device(r.Device).ReadsAny(sent)
	}
	goesOn := func(r fleet.Row) bool { return had[r.Device] && !r.Final() && r.Status.State != executor.Undoing }
	late, cancel := context.WithTimeout(ctx, within)
	defer cancel()
	rows, err := j.Until(late, c, func(rows []fleet.Row) bool {
		return !slices.ContainsFunc(rows, func(r fleet.Row) bool { return r.Online && goesOn(r) })
	})
	if err != nil && ctx.Err() != nil {
		return err
	}
	return s.cancelAccount(j, rows, had, goesOn, key)
}

// cancelAccount says how the devices took it that had the job under way.
func (s cancelCommand) cancelAccount(j *fleet.Job, rows []fleet.Row, had map[string]bool, goesOn func(fleet.Row) bool, key *signing.Key) error {
	ended, away, refusing := 0, 0, 0
	for _, r := range rows {
		switch {
		case !had[r.Device]:
		case !goesOn(r):
			ended++
		case !r.Online:
			away++
		default:
			refusing++
			fmt.Fprintf(s.out, "%s: goes on: %s\n", screen.Line(r.Device), whyGoesOn(r, key))
		}
	}
	fmt.Fprintf(s.out, "%s ended it, %d are away and will when they come\n", count(ended, "device"), away)
	if refusing > 0 {
		return fmt.Errorf("job %s is not cancelled on %s: see above", j.ID, count(refusing, "device"))
	}
	return nil
}

func whyGoesOn(r fleet.Row, key *signing.Key) string {
	switch {
	case key == nil && r.Status.By != "":
		return "it takes signed cancels only (it has the job from key " + r.Status.By + "): --sign"
	case key != nil:
		return "it has not answered; does its policy.keys have this key?"
	}
	return "it has not answered; a device with policy.keys takes a signed cancel only: --sign"
}

// audiences are all for whom the job is offered. The key does not sign for
// those of them whom it never named itself, unless the operator picks them:
// whoever rules the broker could make up any.
func (s cancelCommand) audiences(job string, offers map[string]fleet.Offer, key *signing.Key) ([]string, error) {
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
func (s cancelCommand) pick(job string, claimed []string) ([]string, error) {
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
