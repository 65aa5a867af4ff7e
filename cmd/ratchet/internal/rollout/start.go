package rollout

import (
	"time"

	"github.com/ratchetd/ratchet/executor"
)

// A Plan is what a rollout is started with.
type Plan struct {
	Job, Digest string // the digest is of the job's exact text
	To          []string
	Waves       []Wave
	Soak        time.Duration
	Gates       Gates
}

// Start is the first document of a rollout, which by starts. Its first wave is
// open.
func Start(p Plan, by, because string, now time.Time) Document {
	d := Document{Job: p.Job, Digest: p.Digest, To: p.To, State: Running, Waves: p.Waves, Soak: executor.Duration(p.Soak), Gates: p.Gates, Since: stamp(now)}
	return d.with(Event{At: stamp(now), By: by, Did: "started", Wave: d.wave().String(), Because: because})
}

// Check says what is wrong with a plan, by the name of its field.
func (p Plan) Check() error {
	d := Start(p, "check", "", time.Now())
	d.Rev, d.By = 1, "check"
	return d.check(p.Job)
}
