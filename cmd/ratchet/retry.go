package main

import (
	"context"
	"errors"
	"fmt"
	"regexp"
	"slices"
	"strconv"
	"strings"

	"github.com/ratchetd/ratchet/cmd/ratchet/internal/draft"
	"github.com/ratchetd/ratchet/cmd/ratchet/internal/fleet"
	"github.com/ratchetd/ratchet/cmd/ratchet/internal/link"
	"github.com/ratchetd/ratchet/cmd/ratchet/internal/screen"
	"github.com/ratchetd/ratchet/executor"
	"github.com/spf13/cobra"
)

// maxRetries is how many of a job are looked for.
const maxRetries = 99

// A retrial says what of a job is tried again.
type retrial struct {
	failures []string
	hopeless bool
	id       string
	dry      bool
	sign     signFlags
}

func (s *session) retryCommand() *cobra.Command {
	var r retrial
	var follow bool
	var w watching
	cmd := &cobra.Command{
		Use:   "retry JOB",
		Short: "Send a job again to the devices where it failed",
		Long: `Retry offers a failed job again, under a new id (JOB-r2, then -r3), to each device
where it failed; --failure takes only those of one failure, by its handle from
'ratchet job'. Failures that cannot succeed by being tried again, such as a
rejection by the device's policy, are left out and named; --failure F2 or --hopeless
takes them along. Devices where it was cancelled are taken when --failure names them.

A signed job needs the key again: the text has another id and other devices.`,
		Example: `  ratchet retry wifi --failure F1 --watch`,
		Args:    cobra.ExactArgs(1),
		RunE: func(cmd *cobra.Command, args []string) error {
			err := checkJobID(args[0])
			switch {
			case r.id != "" && !executor.ValidID(r.id):
				err = fmt.Errorf("--id %q: want 1 to 64 of A-Z a-z 0-9 _ -", r.id)
			case r.id == args[0]:
				err = fmt.Errorf("--id %q: this is the job itself, which its devices do not run again", r.id)
			}
			if err != nil {
				return usageError{err}
			}
			return s.retry(cmd.Context(), args[0], r, follow, w)
		},
		ValidArgsFunction: s.completeJobs,
	}
	f := cmd.Flags()
	f.StringSliceVar(&r.failures, "failure", nil, "only this failure, such as `F1`; may be given many times")
	f.BoolVar(&r.hopeless, "hopeless", false, "also where trying again cannot help")
	f.StringVar(&r.id, "id", "", "the new `id`")
	f.BoolVar(&r.dry, "dry-run", false, "say to whom it would go, and send nothing")
	f.StringVar(&r.sign.file, "sign", signFile(), "sign it with the secret key in `file` (RATCHET_SIGN)")
	f.BoolVar(&follow, "watch", false, "watch it until it is done")
	w.flags(f)
	s.link.Flags(f)
	return cmd
}

func (s *session) retry(ctx context.Context, id string, r retrial, follow bool, w watching) error {
	key, err := r.sign.open()
	if err != nil {
		return err
	}
	c, err := s.dial(ctx)
	if err != nil {
		return err
	}
	defer c.Close()
	old, rows, err := s.findJob(ctx, c, id, false)
	if err != nil {
		return err
	}
	s.leftOut(old.Fleet)
	failures := old.Failures(rows)
	devices, left, err := r.choose(failures)
	if err != nil {
		return err
	}
	for _, f := range left {
		why := strings.TrimSuffix(string(f.State)+": "+f.Why(), ": ")
		fmt.Fprintf(s.err, "left out: %s on %s: %s\n", f.Handle, count(len(f.Devices), "device"), screen.Line(why))
	}
	if len(devices) == 0 {
		return fmt.Errorf("job %s: there is nothing to try again: it failed nowhere that another try could help", id)
	}
	o, err := document(old)
	if err != nil {
		return err
	}
	if o.Signature != "" && key == nil {
		return usageError{fmt.Errorf("job %s is signed, and so must be what is sent again: --sign KEY", id)}
	}
	if r.id == "" {
		if r.id, err = s.freeID(ctx, c, id); err != nil {
			return err
		}
	}
	d, err := draft.Again(o, r.id)
	if err != nil {
		return err
	}
	sub := submission{dry: r.dry, Terms: draft.Terms{Key: key}}
	for _, device := range devices {
		sub.To = append(sub.To, "device/"+device)
	}
	return s.offer(ctx, c, d, sub, follow, w)
}

// choose returns the devices that are meant, and the failures that are left out.
func (r retrial) choose(all []fleet.Failure) (devices []string, left []fleet.Failure, err error) {
	for _, handle := range r.failures {
		f, err := pickFailure(all, handle)
		if err != nil {
			return nil, nil, err
		}
		devices = append(devices, f.Devices...)
	}
	if len(r.failures) == 0 {
		for _, f := range all {
			if f.State == executor.Cancelled || f.Hopeless != "" && !r.hopeless {
				left = append(left, f)
				continue
			}
			devices = append(devices, f.Devices...)
		}
	}
	slices.Sort(devices)
	return slices.Compact(devices), left, nil
}

// document is the job's own, as it is still offered to somebody.
func document(j *fleet.Job) (fleet.Offer, error) {
	for _, o := range j.Offers(j.ID) {
		if !o.Cancel && o.Err == nil {
			return o, nil
		}
	}
	return fleet.Offer{}, errors.New("the job is offered nowhere any more, so its document is gone: submit the file again with --id")
}

var retried = regexp.MustCompile(`^(.*)-r(\d+)$`)

// freeID is the first id for another try that nobody has used.
func (s *session) freeID(ctx context.Context, c *link.Client, id string) (string, error) {
	base, n := id, 1
	if m := retried.FindStringSubmatch(id); m != nil {
		base = m[1]
		n, _ = strconv.Atoi(m[2])
	}
	for n++; n <= maxRetries; n++ {
		next := fmt.Sprintf("%s-r%d", base, n)
		if !executor.ValidID(next) {
			return "", fmt.Errorf("%s: no job can have this id: say another with --id", next)
		}
		f, err := fleet.Read(ctx, c, fleet.Offers(next), fleet.Statuses("+", next))
		if err != nil {
			return "", err
		}
		if len(f.Offers(next)) == 0 && !strings.Contains(fmt.Sprint(f.JobIDs()), next) {
			return next, nil
		}
	}
	return "", fmt.Errorf("%s was tried %d times: say another id with --id", base, maxRetries)
}
