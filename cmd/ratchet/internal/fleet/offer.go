package fleet

import (
	"encoding/json"
	"fmt"
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
	Rollout   *executor.Rollout // of the envelope; nil when all take part by now
	Err       error             // why it cannot be read; every device rejects it then

	digest string   // of Text
	target *jq.Expr // nil when all are meant
	waves  []wave   // the document's and the envelope's: a device must be in each
}

// A wave is whom a rollout has reached.
type wave struct {
	percent float64
	where   *jq.Expr // those are in besides; nil when none are
}

// ReadOffer reads what lies on a job topic.
func ReadOffer(payload []byte) Offer {
	e, err := dialect.OpenEnvelope(payload)
	if err != nil {
		return Offer{Err: err}
	}
	o := Offer{Text: []byte(e.Job), Signature: e.Signature, digest: executor.Digest([]byte(e.Job))}
	var c dialect.CancelText
	if json.Unmarshal(executor.Unmarked(o.Text), &c) == nil && c.Cancel {
		o.Cancel, o.Job = true, executor.Job{ID: c.ID, Audience: c.Audience, Expires: c.Expires}
		return o
	}
	if o.Job, o.Err = executor.Parse(o.Text); o.Err == nil && o.Job.Target != "" {
		o.target, o.Err = jq.Compile(o.Job.Target)
	}
	if o.Err == nil {
		o.Err = o.reach(e.Rollout)
	}
	return o
}

// Reaching is the offer as it would be with another rollout in its envelope.
func (o Offer) Reaching(r *executor.Rollout) (Offer, error) {
	err := o.reach(r)
	return o, err
}

func (o *Offer) reach(r *executor.Rollout) error {
	o.Rollout, o.waves = r, nil
	for _, r := range []*executor.Rollout{o.Job.Rollout, r} {
		if r == nil {
			continue
		}
		w := wave{percent: r.Percent}
		if r.Where != "" {
			var err error
			if w.where, err = jq.Compile(r.Where); err != nil {
				return fmt.Errorf("rollout.where: %w", err)
			}
		}
		o.waves = append(o.waves, w)
	}
	return nil
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
	case !o.takesPart(d):
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

// takesPart reports whether the rollout has reached a device.
func (o Offer) takesPart(d *Device) bool {
	for _, w := range o.waves {
		if dialect.InRollout(o.Job.ID, d.ID, w.percent) {
			continue
		}
		if w.where == nil {
			return false
		}
		if yes, err := d.Meets(w.where); err != nil || !yes {
			return false
		}
	}
	return true
}

// Reads reports whether the device reads the topics of to.
func (d *Device) Reads(to string) bool {
	scope, name, _ := strings.Cut(to, "/")
	switch scope {
	case "device":
		return name == d.ID
	case "group":
		return slices.Contains(d.Known.Groups, name)
	}
	return true
}

// ReadsAny reports whether the device reads the topics of any of these.
func (d *Device) ReadsAny(to []string) bool { return slices.ContainsFunc(to, d.Reads) }

// expects reports whether some offer of the job reaches the device, so that it
// will answer.
func (f *Fleet) expects(job string, d *Device, now time.Time) bool {
	for to, o := range f.offers[job] {
		if !o.Cancel && d.Reads(to) && o.Concerns(to, d, now) {
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
		if offers++; o.digest == s.Digest {
			return false
		}
	}
	return offers > 0
}
