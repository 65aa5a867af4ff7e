package draft

import (
	"encoding/json"
	"slices"
	"time"

	"github.com/ratchetd/ratchet/agent/dialect"
	"github.com/ratchetd/ratchet/cmd/ratchet/internal/fleet"
	"github.com/ratchetd/ratchet/cmd/ratchet/internal/signing"
)

// Cancel returns what ends a job. A signed cancel must expire and say for whom
// it is, or a broker could bring it out again for ever, and to anybody; it
// outlives the jobs that Settle completes.
func Cancel(job string, to []string, key *signing.Key) ([]byte, error) {
	c := dialect.CancelText{ID: job, Cancel: true}
	if key != nil {
		c.Expires.Time = time.Now().UTC().Truncate(time.Second).Add(life)
		c.Audience = to
	}
	text, err := json.Marshal(c)
	return dialect.Envelope{Job: string(text), Signature: key.Sign(text, job)}.Payload(), err
}

// Vouched reports whether the key itself signed an offer or a cancel of the job
// for this audience. Otherwise that it is there is the broker's word alone.
func Vouched(o fleet.Offer, job, to string, key *signing.Key) bool {
	return o.Job.ID == job && slices.Contains(o.Job.Audience, to) && key.Signed(o.Text, o.Signature)
}

// Cancelled reports whether a cancel of the job is offered for this audience
// already, one that devices take which want the key's signature. A nil key wants
// none.
func Cancelled(o fleet.Offer, job, to string, key *signing.Key) bool {
	return o.Cancel && (key == nil || Vouched(o, job, to, key) && o.Job.Expires.After(time.Now()))
}
