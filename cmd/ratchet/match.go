package main

import (
	"context"
	"encoding/json"
	"errors"
	"slices"
	"strings"
	"time"

	"github.com/ratchetd/ratchet/agent/dialect"
	"github.com/ratchetd/ratchet/executor"
	"github.com/ratchetd/ratchet/executor/jq"
)

// expects tells whether some offer of the job reaches the device, so that it
// will answer, be it with a rejection.
func (r *roster) expects(job string, d *device, now time.Time) bool {
	for to, o := range r.offers[job] {
		if !o.cancel && d.under(to) && o.concerns(to, d, now) {
			return true
		}
	}
	return false
}

// under tells whether the device reads the topics of to.
func (d *device) under(to string) bool {
	scope, name, _ := strings.Cut(to, "/")
	switch scope {
	case "device":
		return name == d.id
	case "group":
		return slices.Contains(d.known.Groups, name)
	}
	return true
}

// concerns tells whether a device under the topic answers the offer. The rules
// and their order are the device's: what comes first decides.
func (o offer) concerns(to string, d *device, now time.Time) bool {
	if o.err != nil {
		return true
	}
	late := !o.job.Expires.IsZero() && now.After(o.job.Expires.Time)
	own := strings.HasPrefix(to, "device/")
	switch {
	case late:
		return own
	case !dialect.Addressed(o.job.Audience, d.id, d.known.Groups):
		return true // it rejects
	case !dialect.InRollout(o.job.ID, d.id, o.share()):
		return false
	case o.target == nil:
		return true
	}
	if len(d.facts) == 0 {
		return own // perhaps
	}
	yes, err := holds(o.target, d.facts)
	return yes || err != nil // it rejects what fails on its facts
}

// share is the percentage of the devices that take part: the document's is a
// ceiling for the envelope's.
func (o offer) share() float64 {
	share := 100.0
	if o.job.Rollout != nil {
		share = o.job.Rollout.Percent
	}
	if o.percent != nil {
		share = min(share, *o.percent)
	}
	return share
}

// stale tells whether a device's word is about an earlier document under the
// same id: a rejection does not use an id up, so a corrected one is judged anew.
func (r *roster) stale(s dialect.JobStatus) bool {
	if s.State != executor.Rejected || s.Rev > 0 || s.Digest == "" {
		return false
	}
	offers := 0
	for _, o := range r.offers[s.Job] {
		if o.cancel {
			continue
		}
		if offers++; executor.Digest(o.text) == s.Digest {
			return false
		}
	}
	return offers > 0
}

// holds tells whether a jq expression is true of a device's facts.
func holds(e *jq.Expr, facts json.RawMessage) (bool, error) {
	if len(facts) == 0 {
		return false, errors.New("no facts are known")
	}
	input, err := jq.Input(facts)
	if err != nil {
		return false, err
	}
	return e.Bool(context.Background(), input) // Eval bounds itself
}
