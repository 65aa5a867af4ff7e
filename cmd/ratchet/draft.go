package main

import (
	"bytes"
	"cmp"
	"errors"
	"fmt"
	"maps"
	"slices"
	"time"
	"unicode/utf8"

	"github.com/ratchetd/ratchet/agent/dialect"
	"github.com/ratchetd/ratchet/cmd/ratchet/internal/jobfile"
	"github.com/ratchetd/ratchet/executor"
)

// A draft is a job as it was read, before it is decided what is sent.
type draft struct {
	doc       jobfile.Document
	job       executor.Job
	signature string // of its exact text; empty unless it came with one
}

// readJob reads and checks a job file; what is wrong is one error, a line each.
func (s *session) readJob(file, id string) (draft, error) {
	f, err := jobfile.Read(file, s.in)
	switch {
	case err != nil:
		return draft{}, err
	case id != "" && f.Signature != "":
		return draft{}, errors.New("--id: the file holds a signed job, whose text cannot be changed")
	case id != "":
		f = f.WithID(id)
	}
	job, err := f.Job()
	if err != nil {
		return draft{}, err
	}
	doc, err := jobfile.Split(f.Text)
	return draft{doc, job, f.Signature}, err
}

// settle decides what is sent: the text that is offered already where this is
// the same job, else the document with all that it lacks.
func (sub submission) settle(d draft, earlier map[string]offer) (dialect.Envelope, error) {
	e, err := sub.settleText(d, earlier)
	if err == nil && sub.key != nil {
		err = sub.seal(&e)
	}
	if sub.partial {
		e.Rollout = &executor.Rollout{Percent: sub.percent}
	}
	return e, err
}

// seal signs what is about to be sent.
func (sub submission) seal(e *dialect.Envelope) error {
	job, err := executor.Parse([]byte(e.Job))
	if err == nil {
		err = signable([]byte(e.Job), job)
	}
	e.Signature = sub.key.Sign([]byte(e.Job), job.ID)
	return err
}

func (sub submission) settleText(d draft, earlier map[string]offer) (dialect.Envelope, error) {
	now := executor.Time{Time: time.Now().UTC().Truncate(time.Second)}
	if d.signature != "" && d.job.Created.After(now.Add(24*time.Hour)) {
		// A device believes a signature's time more than its own clock, for good.
		return dialect.Envelope{}, fmt.Errorf("created: %s is not yet: set the clock of the computer that signed it, and sign it again", d.job.Created.Format(time.RFC3339))
	}
	fresh := executor.Job{Created: now, Expires: executor.Time{Time: now.Add(defaultLife)}}
	if sub.key != nil {
		fresh.Audience = []string{sub.to}
	}
	text := d.complete(fresh)
	if len(text) > executor.MaxDocument {
		return dialect.Envelope{}, fmt.Errorf("the document has %d bytes: at most %d are taken", len(text), executor.MaxDocument)
	}
	for _, to := range slices.Sorted(maps.Keys(earlier)) {
		o := earlier[to]
		switch {
		case sub.same(d, o):
			return dialect.Envelope{Job: string(o.text), Signature: cmp.Or(d.signature, o.signature)}, nil
		case sub.force:
		case o.cancel:
			return dialect.Envelope{}, fmt.Errorf("job %s was cancelled (%s): the devices will not run it again; take another id with --id", d.job.ID, to)
		default:
			return dialect.Envelope{}, fmt.Errorf("another document is offered as %s (%s): devices that know the id refuse a second one; "+
				"take another id with --id, or replace it with --force", d.job.ID, to)
		}
	}
	return dialect.Envelope{Job: string(text), Signature: d.signature}, nil
}

// same tells whether an earlier offer is this job. What the tool had written
// for one audience is another document for others. What is to be signed must be
// what the tool would write, or be signed by that key: the broker's word for how
// long a job counts, and for whom, is not to get the owner's signature.
func (sub submission) same(d draft, o offer) bool {
	as := o.job
	if !slices.Contains(as.Audience, sub.to) {
		as.Audience = nil
	}
	if sub.key != nil && !sub.signedBefore(o) && !sub.wouldWrite(d.job, as) {
		return false
	}
	return !o.cancel && bytes.Equal(d.complete(as), o.text)
}

// wouldWrite tells whether the tool would write, now or before, what the author
// left out and an earlier offer has.
func (sub submission) wouldWrite(author, as executor.Job) bool {
	now := time.Now()
	return !(author.Created.IsZero() && as.Created.After(now) ||
		author.Expires.IsZero() && as.Expires.After(now.Add(defaultLife)) ||
		len(author.Audience) == 0 && !slices.Equal(as.Audience, []string{sub.to}))
}

func (sub submission) signedBefore(o offer) bool {
	return sub.key.Signed(o.text, o.signature)
}

// complete is the document with created, expires and audience where the author
// left them out and by has them. A recurring job has no end unless its author
// names one, and what is signed stays as it is.
func (d draft) complete(by executor.Job) []byte {
	doc := d.doc
	if d.signature != "" {
		return doc.Text()
	}
	if len(d.job.Audience) == 0 && len(by.Audience) > 0 {
		doc = doc.With("audience", by.Audience)
	}
	if d.job.Expires.IsZero() && d.job.Schedule == "" && !by.Expires.IsZero() {
		doc = doc.With("expires", by.Expires.Format(time.RFC3339))
	}
	if d.job.Created.IsZero() && !by.Created.IsZero() {
		doc = doc.With("created", by.Created.Format(time.RFC3339))
	}
	return doc.Text()
}

// signable names what would keep a device that wants signatures from taking a
// text.
func signable(text []byte, job executor.Job) error {
	switch {
	case !utf8.Valid(text):
		return errors.New("the document is not UTF-8, so its exact text cannot be sent")
	case job.Expires.IsZero():
		return errors.New("expires: a signed job needs it, and a recurring one gets none by itself: say until when it recurs")
	case len(job.Audience) == 0:
		return errors.New("audience: a signed job needs it: whom it is meant for")
	}
	return nil
}
