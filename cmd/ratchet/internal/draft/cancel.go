package draft

import (
	"encoding/json"
	"time"

	"github.com/ratchetd/ratchet/agent/dialect"
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
