package fleet

import (
	"encoding/json"
	"slices"
	"strings"
	"time"

	"github.com/ratchetd/ratchet/agent/dialect"
	"github.com/ratchetd/ratchet/executor"
	"github.com/ratchetd/ratchet/executor/jq"
)

// An Offer is what lies on one job topic: a job, or a cancel.
type Offer struct {
	Job       executor.Job // of a cancel its ID, Audience and Expires
	Text      []byte       // its exact text
	Signature string       // of Text; empty when it is not signed
	Cancel    bool
	Err       error // why it cannot be read; every device rejects it then

	target  *jq.Expr // nil when all are meant
	percent *float64
}

// ReadOffer reads what lies on a job topic.
func ReadOffer(payload []byte) Offer {
	e, err := dialect.OpenEnvelope(payload)
	if err != nil {
		return Offer{Err: err}
	}
	o := Offer{Text: []byte(e.Job), Signature: e.Signature}
	var c dialect.CancelText
	if json.Unmarshal(executor.Unmarked(o.Text), &c) == nil && c.Cancel {
		o.Cancel, o.Job = true, executor.Job{ID: c.ID, Audience: c.Audience, Expires: c.Expires}
		return o
	}
	if e.Rollout != nil {
		o.percent = &e.Rollout.Percent
	}
	if o.Job, o.Err = executor.Parse(o.Text); o.Err == nil && o.Job.Target != "" {
		o.target, o.Err = jq.Compile(o.Job.Target)
	}
	return o
}

// Concerns reports whether a device that reads the topics of to answers the
// offer, be it with a rejection. The rules and their order are the device's: the
// first that applies decides.
func (o Offer) Concerns(to string, d *Device, now time.Time) bool {
	if o.Err != nil {
		return true
	}
	late := !o.Job.Expires.IsZero() && now.After(o.Job.Expires.Time)
	own := strings.HasPrefix(to, "device/")
	switch {
	case late:
		return own
	case !dialect.Addressed(o.Job.Audience, d.ID, d.Known.Groups):
		return true // it rejects
	case !dialect.InRollout(o.Job.ID, d.ID, o.share()):
		return false
	case o.target == nil:
		return true
	}
	if len(d.Facts) == 0 {
		return own // perhaps
	}
	yes, err := d.Meets(o.target)
	return yes || err != nil // it rejects what fails on its facts
}

// share is the percentage of the devices that take part: the document's is a
// ceiling for the envelope's.
func (o Offer) share() float64 {
	share := 100.0
	if o.Job.Rollout != nil {
		share = o.Job.Rollout.Percent
	}
	if o.percent != nil {
		share = min(share, *o.percent)
	}
	return share
}

// reads reports whether the device reads the topics of to.
func (d *Device) reads(to string) bool {
	scope, name, _ := strings.Cut(to, "/")
	switch scope {
	case "device":
		return name == d.ID
	case "group":
		return slices.Contains(d.Known.Groups, name)
	}
	return true
}

// expects reports whether some offer of the job reaches the device, so that it
// will answer.
func (f *Fleet) expects(job string, d *Device, now time.Time) bool {
	for to, o := range f.offers[job] {
		if !o.Cancel && d.reads(to) && o.Concerns(to, d, now) {
			return true
		}
	}
	return false
}

// stale reports whether a device's word is about an earlier document under the
// same id: a rejection does not use an id up, so a corrected one is judged again.
func (f *Fleet) stale(s dialect.JobStatus) bool {
	if s.State != executor.Rejected || s.Rev > 0 || s.Digest == "" {
		return false
	}
	offers := 0
	for _, o := range f.offers[s.Job] {
		if o.Cancel {
			continue
		}
		if offers++; executor.Digest(o.Text) == s.Digest {
			return false
		}
	}
	return offers > 0
}
