package main

import (
	"fmt"
	"sync"
	"time"

	"github.com/ratchetd/ratchet/cmd/ratchet/internal/rollout"
	"github.com/ratchetd/ratchet/cmd/ratchet/internal/screen"
	"github.com/ratchetd/ratchet/cmd/ratchet/internal/show"
)

// A teller tells what happens in rollouts: a line for each event, and on a
// terminal how it stands by now.
type teller struct {
	s      rolloutCommands
	asJSON bool

	mu   sync.Mutex
	told map[string]int // events of each job
}

func (s rolloutCommands) teller(asJSON bool) *teller {
	return &teller{s: s, asJSON: asJSON, told: map[string]int{}}
}

// from leaves out what had happened before, but for the last events.
func (t *teller) from(d rollout.Document, last int) {
	t.mu.Lock()
	defer t.mu.Unlock()
	t.told[d.Job] = len(d.History) - last
}

func (t *teller) note(text string) {
	t.mu.Lock()
	defer t.mu.Unlock()
	t.s.err.Above("ratchet: " + text)
}

func (t *teller) show(d rollout.Document, seen rollout.Seen, mine bool) {
	t.mu.Lock()
	defer t.mu.Unlock()
	t.told[d.Job] = min(t.told[d.Job], len(d.History)) // the log may have lost its middle
	for _, e := range d.History[t.told[d.Job]:] {
		t.event(d.Job, e)
	}
	t.told[d.Job] = len(d.History)
	if _, _, terminal := t.s.out.Size(); terminal && !t.asJSON && d.State == rollout.Running {
		t.s.out.Draw([][]screen.Span{{{Text: t.now(d, seen, mine)}}})
	}
}

func (t *teller) event(job string, e rollout.Event) {
	if t.asJSON {
		_ = t.s.out.JSON(struct {
			Job string `json:"job"`
			rollout.Event
		}{job, e})
		return
	}
	t.s.out.Above(fmt.Sprintf("%s  %s", show.Time(e.At), job+"  "+eventInWords(e)))
}

// eventInWords is such as "opened 10 %: 27 devices: 27 succeeded".
func eventInWords(e rollout.Event) string {
	text := e.Did + " " + e.Wave
	if e.Counts != nil && e.Counts.Devices > 0 {
		text += ", " + e.Counts.String()
	}
	if e.Because != "" {
		text += "; " + e.Because
	}
	return text
}

// now is how a rollout stands, in one line.
func (t *teller) now(d rollout.Document, seen rollout.Seen, mine bool) string {
	text := fmt.Sprintf("wave %d of %d (%s): %s", d.Wave+1, len(d.Waves), d.Waves[d.Wave], seen.Wave)
	switch {
	case !mine && d.Carrier != nil:
		text += "; carried by " + d.Carrier.ID
	case !d.Soaking.IsZero():
		text += "; soaks until " + d.Soaking.Add(time.Duration(d.Soak)).Local().Format(time.TimeOnly)
	case seen.Wave.Working+seen.Wave.Away > 0:
		text += "; waits for them until " + d.Since.Add(time.Duration(d.Gates.Within)).Local().Format(time.TimeOnly)
	}
	return text
}
