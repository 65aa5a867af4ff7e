// Package draft decides what exactly is sent: the text of a job with all that
// its author left out, a cancel, and their signatures. It sends nothing.
package draft

import (
	"bytes"
	"cmp"
	"errors"
	"fmt"
	"io"
	"maps"
	"slices"
	"time"
	"unicode/utf8"

	"github.com/ratchetd/ratchet/agent/dialect"
	"github.com/ratchetd/ratchet/cmd/ratchet/internal/fleet"
	"github.com/ratchetd/ratchet/cmd/ratchet/internal/jobfile"
	"github.com/ratchetd/ratchet/cmd/ratchet/internal/signing"
	"github.com/ratchetd/ratchet/executor"
)

// life is how long a job that names no expires, or a cancel, may wait for its
// devices.
const life = 30 * 24 * time.Hour

// A Draft is a job as it was read, before it is decided what is sent.
type Draft struct {
	doc       jobfile.Document
	job       executor.Job
	signature string // of its exact text; empty unless it came with one
}

// Read reads and checks a job file; - reads in. What is wrong is one error, a
// line each. An id replaces the file's.
func Read(file, id string, in io.Reader) (Draft, error) {
	f, err := jobfile.Read(file, in)
	switch {
	case err != nil:
		return Draft{}, err
	case id != "" && f.Signature != "":
		return Draft{}, errors.New("--id: the file holds a signed job, whose text cannot be changed")
	case id != "":
		f = f.WithID(id)
	}
	job, err := f.Job()
	if err != nil {
		return Draft{}, err
	}
	doc, err := jobfile.Split(f.Text)
	return Draft{doc, job, f.Signature}, err
}

// Again is the job of an offer under another id. When it was made, how long it
// counts and for whom it is belong to the offer, and are written again.
func Again(o fleet.Offer, id string) (Draft, error) {
	if o.Job.Schedule != "" {
		return Draft{}, errors.New("schedule: a recurring job is tried again when it is next due")
	}
	doc, err := jobfile.Split(o.Text)
	if err != nil {
		return Draft{}, err
	}
	doc = doc.Without("created", "expires", "audience", "rollout", "notBefore").With("id", id)
	job, err := executor.Parse(doc.Text())
	return Draft{doc: doc, job: job}, err
}

// ID is the job's.
func (d Draft) ID() string { return d.job.ID }

// Audience is whom the job's author named, if anybody.
func (d Draft) Audience() []string { return d.job.Audience }

// Terms say how a job is offered.
type Terms struct {
	To      []string     // device/ID, group/NAME or all
	Percent *float64     // the share of the devices that take part; nil is all
	Force   bool         // replace another document that is offered under the id
	Key     *signing.Key // nil signs nothing
}

// Seal returns the envelope that is sent: the text that is offered already where this is
// the same job, else the document with all that it lacks. Earlier is what is
// offered under the id, by whom it is for.
func (d Draft) Seal(t Terms, earlier map[string]fleet.Offer) (dialect.Envelope, error) {
	e, err := d.sealText(t, earlier)
	if err == nil && t.Key != nil {
		err = t.seal(&e)
	}
	if t.Percent != nil {
		e.Rollout = &executor.Rollout{Percent: *t.Percent}
	}
	return e, err
}

// seal signs what is about to be sent.
func (t Terms) seal(e *dialect.Envelope) error {
	job, err := executor.Parse([]byte(e.Job))
	if err == nil {
		err = signable([]byte(e.Job), job)
	}
	e.Signature = t.Key.Sign([]byte(e.Job), job.ID)
	return err
}

func (d Draft) sealText(t Terms, earlier map[string]fleet.Offer) (dialect.Envelope, error) {
	now := executor.Time{Time: time.Now().UTC().Truncate(time.Second)}
	if d.signature != "" && d.job.Created.After(now.Add(24*time.Hour)) {
		// A device believes a signature's time more than its own clock, for good.
		return dialect.Envelope{}, fmt.Errorf("created: %s is not yet: set the clock of the computer that signed it, and sign it again", d.job.Created.Format(time.RFC3339))
	}
	fresh := executor.Job{Created: now, Expires: executor.Time{Time: now.Add(life)}}
	if t.Key != nil {
		fresh.Audience = t.To
	}
	text := d.complete(fresh)
	if len(text) > executor.MaxDocument {
		return dialect.Envelope{}, fmt.Errorf("the document has %d bytes: at most %d are taken", len(text), executor.MaxDocument)
	}
	for _, to := range slices.Sorted(maps.Keys(earlier)) {
		o := earlier[to]
		switch {
		case d.same(t, o):
			return dialect.Envelope{Job: string(o.Text), Signature: cmp.Or(d.signature, o.Signature)}, nil
		case t.Force:
		case o.Cancel:
			return dialect.Envelope{}, fmt.Errorf("job %s was cancelled (%s): the devices will not run it again; take another id with --id", d.job.ID, to)
		default:
			return dialect.Envelope{}, fmt.Errorf("another document is offered as %s (%s): devices that know the id refuse a second one; "+
				"take another id with --id, or replace it with --force", d.job.ID, to)
		}
	}
	return dialect.Envelope{Job: string(text), Signature: d.signature}, nil
}

// same reports whether an earlier offer is this job. What the tool had written
// for one audience is another document for others. What is to be signed must be
// what the tool would write, or be signed by that key: the broker's word for how
// long a job counts, and for whom, must not get the owner's signature.
func (d Draft) same(t Terms, o fleet.Offer) bool {
	as := o.Job
	if slices.ContainsFunc(t.To, func(to string) bool { return !slices.Contains(as.Audience, to) }) {
		as.Audience = nil
	}
	if t.Key != nil && !t.Key.Signed(o.Text, o.Signature) && !t.wouldWrite(d.job, as) {
		return false
	}
	return !o.Cancel && bytes.Equal(d.complete(as), o.Text)
}

// wouldWrite reports whether the tool would write, now or before, what the
// author left out and an earlier offer has.
func (t Terms) wouldWrite(author, as executor.Job) bool {
	now := time.Now()
	return !(author.Created.IsZero() && as.Created.After(now) ||
		author.Expires.IsZero() && as.Expires.After(now.Add(life)) ||
		len(author.Audience) == 0 && !slices.Equal(as.Audience, t.To))
}

// complete is the document with created, expires and audience where the author
// left them out and by has them. A recurring job has no end unless its author
// names one, and what is signed stays as it is.
func (d Draft) complete(by executor.Job) []byte {
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
