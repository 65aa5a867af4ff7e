package rollout

import (
	"fmt"
	"math"
	"strings"
	"time"

	"github.com/ratchetd/ratchet/agent/dialect"
	"github.com/ratchetd/ratchet/cmd/ratchet/internal/fleet"
	"github.com/ratchetd/ratchet/executor"
)

// A Decision is what comes next in a rollout.
type Decision struct {
	Document Document // to be written before anything else, where it is Changed
	Changed  bool
	Offer    []string // to whom the job is then offered with Document.Reach
}

// Decide says what comes next. By is who decides. It is a pure function, so
// whoever carries the rollout on after a crash decides the same.
func Decide(d Document, s Seen, by string, now time.Time) Decision {
	t := turn{d, s, by, now}
	switch {
	case d.State == Aborted:
		return Decision{Document: d, Offer: s.Behind}
	case d.State != Running:
		return Decision{Document: d}
	case s.Cancelled != "":
		return t.end(Aborted, "aborted", "the job was cancelled ("+s.Cancelled+")")
	case s.Trouble != "":
		return t.end(Paused, "paused", s.Trouble)
	case s.Alert != "":
		return t.end(Paused, "paused", "alert "+s.Alert)
	case t.hopeless():
		return t.end(Aborted, "aborted", t.hopelessly())
	case len(s.Behind) > 0:
		return Decision{Document: d, Offer: s.Behind}
	case s.All.Answered() < d.Base.Answered():
		return t.incomplete()
	case s.Wave.Devices == 0 && s.Total > 0:
		return t.advance("opened", "no device is in wave "+d.wave().String())
	case d.Soaking.IsZero():
		return t.wait()
	case now.Before(d.Soaking.Add(time.Duration(d.Soak))):
		return Decision{Document: d}
	}
	return t.judge()
}

// A turn is one decision under way.
type turn struct {
	d   Document
	s   Seen
	by  string
	now time.Time
}

// failed and answered are what has come since the last judgement.
func (t turn) failed() int { return max(0, t.s.All.bad()-t.d.Base.bad()) }

func (t turn) answered() int { return max(t.failed(), t.s.All.Answered()-t.d.Base.Answered()) }

// hopeless reports whether so many have failed that the wave cannot pass even if
// all others succeed. What is unwell may only be on its way back up.
func (t turn) hopeless() bool {
	failed, of := t.atBest()
	return failed > 0 && tooMany(failed, of, t.d.Gates.AbortAbove)
}

// atBest is how many have failed, of how many, if all others succeed.
func (t turn) atBest() (failed, of int) {
	failed = t.failed() - max(0, t.s.All.Unwell-t.d.Base.Unwell)
	return failed, max(failed, t.s.All.meant()-t.d.Base.Answered())
}

// hopelessly is such as "6 of 109 have failed (5.5 %, at most 2 %), whatever the others do: gw-1".
func (t turn) hopelessly() string {
	failed, of := t.atBest()
	return fmt.Sprintf("%d of %d have failed (%.3g %%, at most %g %%), whatever the others do%s",
		failed, of, 100*float64(failed)/float64(of), t.d.Gates.AbortAbove, t.examples())
}

// examples names a few of those that failed.
func (t turn) examples() string {
	if len(t.s.Bad) == 0 {
		return ""
	}
	return ": " + strings.Join(t.s.Bad, ", ")
}

func tooMany(failed, of int, above float64) bool {
	return of > 0 && 100*float64(failed)/float64(of) > above
}

// failures is such as "9 of 104 that answered failed (8.7 %, at most 2 %): gw-1, gw-2".
func (t turn) failures() string {
	share := 100 * float64(t.failed()) / float64(max(1, t.answered()))
	return fmt.Sprintf("%d of %d that answered failed (%.3g %%, at most %g %%)%s", t.failed(), t.answered(), share, t.d.Gates.AbortAbove, t.examples())
}

// incomplete waits where the broker brings fewer answers than have been judged: it
// may bring the rest when it is asked again.
func (t turn) incomplete() Decision {
	if !t.late() {
		return Decision{Document: t.d}
	}
	return t.end(Paused, "paused", fmt.Sprintf("incomplete: of %d answers that were known %d are left at the broker: look why, then resume",
		t.d.Base.Answered(), t.s.All.Answered()))
}

func (t turn) late() bool { return !t.now.Before(t.d.Since.Add(time.Duration(t.d.Gates.Within))) }

// wait looks whether enough have answered to let the wave soak.
func (t turn) wait() Decision {
	d, w := t.d, t.s.Wave
	switch {
	case w.Devices > 0 && w.Working == 0 && enough(w, w.meant(), d.Gates.MinAnswers):
	case !t.late():
		return Decision{Document: d}
	case w.Devices == 0:
		return t.end(Paused, "paused", "no device is known that the job reaches")
	case !enough(w, w.meant()-w.Away, d.Gates.MinAnswers):
		return t.end(Paused, "paused", fmt.Sprintf("%d of %d devices of wave %s answered within %s (%d are away)",
			w.Answered(), w.meant(), d.wave(), time.Duration(d.Gates.Within), w.Away))
	}
	if d.Soak == 0 {
		return t.judge()
	}
	d.Soaking = stamp(t.now)
	return Decision{Document: d, Changed: true}
}

// enough reports whether so many of these devices have answered. Where some are
// wanted, nobody is never enough.
func enough(c Counts, of int, percent float64) bool {
	least := int(math.Ceil(float64(of) * percent / 100))
	if percent > 0 {
		least = max(1, least)
	}
	return c.Answered() >= least || c.meant() == 0
}

// judge lets the next wave go after a wave that was well, or stops.
func (t turn) judge() Decision {
	if tooMany(t.failed(), t.answered(), t.d.Gates.AbortAbove) {
		return t.end(Aborted, "aborted", t.failures())
	}
	return t.advance("opened", "")
}

// advance opens the next wave; after the last the rollout is done.
func (t turn) advance(did, because string) Decision {
	if t.d.Wave == len(t.d.Waves)-1 {
		return t.end(Done, "done", because)
	}
	d := t.d
	d.Wave++
	return Decision{Document: t.open(d, did, because), Changed: true}
}

// open is the document with its wave just begun: what has been seen by now does
// not count for it any more.
func (t turn) open(d Document, did, because string) Document {
	counts := t.s.All
	d.State, d.Since, d.Soaking, d.Base = Running, stamp(t.now), executor.Time{}, counts
	if d.Wave != t.d.Wave {
		d.Base.Unwell = 0 // of this wave nobody is yet
	}
	return d.with(t.event(did, because, d.wave()))
}

// end leaves the rollout in a state in which nobody carries it.
func (t turn) end(state State, did, because string) Decision {
	d := t.d
	d.State, d.Carrier, d.Soaking = state, nil, executor.Time{}
	return Decision{Document: d.with(t.event(did, because, d.wave())), Changed: true}
}

func (t turn) event(did, because string, w Wave) Event {
	counts := t.s.All
	return Event{At: stamp(t.now), By: t.by, Did: did, Wave: w.String(), Because: because, Counts: &counts}
}

// sealed is a job's envelope with a rollout.
func sealed(o fleet.Offer, r *executor.Rollout) []byte {
	return dialect.Envelope{Job: string(o.Text), Signature: o.Signature, Rollout: r}.Payload()
}
