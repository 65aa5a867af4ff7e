package rollout

import (
	"fmt"
	"slices"
	"time"

	"github.com/ratchetd/ratchet/executor"
)

// maxNamed is how many devices stand for all that are like them.
const maxNamed = 3

// Seen is all that a decision wants to know of the fleet.
type Seen struct {
	All   Counts   // over the waves that are open
	Wave  Counts   // of them the newest
	Total int      // devices that all waves together reach
	Bad   []string // a few of the devices that count against the rollout
	Alert string   // one that the rollout pauses on, and where

	Behind    []string // where the offer is not as wide as the waves
	Cancelled string   // where the job was cancelled, or empty
	Trouble   string   // what else is wrong with the offers, or empty
}

// See is what the fleet says by now.
func (v *View) See(d Document, now time.Time) Seen {
	var s Seen
	var bad, worst []string
	v.each(d, now, func(r Row) {
		s.Total++
		if r.Standing == "" {
			return
		}
		if r.Standing == Unwell && r.rank < d.Wave {
			r.Standing = Succeeded // its own wave was judged
		}
		s.All.Add(r.Standing)
		if r.rank == d.Wave {
			s.Wave.Add(r.Standing)
		}
		switch {
		case r.Standing != Failed && r.Standing != Rejected && r.Standing != Unwell:
		case r.rank == d.Wave:
			worst = append(worst, r.Device)
		default:
			bad = append(bad, r.Device)
		}
		if r.alert != "" && s.Alert == "" {
			s.Alert = r.alert + " on " + r.Device
		}
	})
	slices.Sort(worst)
	slices.Sort(bad)
	bad = append(worst, bad...)
	s.Bad = bad[:min(len(bad), maxNamed)]
	v.seeOffers(d, now, &s)
	return s
}

func (v *View) seeOffers(d Document, now time.Time, s *Seen) {
	reach := d.Reach()
	for _, to := range d.To {
		o, there := v.offered()[to]
		wide := o.Rollout == nil || o.Rollout.Percent > reach.Percent
		switch {
		case there && o.Cancel:
			s.Cancelled = to
		case !there:
			s.Trouble = fmt.Sprintf("job %s is not offered to %s any more: offer the same document again with ratchet submit --to %s --percent 0", d.Job, to, to)
		case o.Err != nil:
			s.Trouble = fmt.Sprintf("what is offered to %s as %s cannot be read: %v", to, d.Job, o.Err)
		case o.digest != d.Digest:
			s.Trouble = fmt.Sprintf("another document is offered to %s as %s: the rollout is of digest %.12s; start one of the new document under an id of its own", to, d.Job, d.Digest)
		case d.State == Aborted && (wide || o.Rollout.Where != ""):
			s.Behind = append(s.Behind, to)
		case d.State == Aborted:
		case !o.Job.Expires.IsZero() && now.After(o.Job.Expires.Time):
			s.Trouble = fmt.Sprintf("job %s expired at %s: no device begins it any more; start another under a new id", d.Job, o.Job.Expires.Format(time.RFC3339))
		case wide:
			s.Trouble = fmt.Sprintf("job %s is offered to %s more widely than wave %s: somebody submitted it beside the rollout; ratchet rollout next catches up with that", d.Job, to, d.wave())
		case *o.Rollout != *reach:
			s.Behind = append(s.Behind, to)
		}
	}
}

// envelopeOf is the offer of a job with another rollout.
func (v *View) envelopeOf(to string, r *executor.Rollout) []byte {
	o := v.offered()[to]
	return sealed(o.Offer, r)
}
