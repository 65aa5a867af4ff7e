package rollout

import (
	"fmt"
	"time"
)

// A Change is what an operator does with a rollout that goes on.
type Change struct {
	Do      string // pause, resume, next or abort
	Because string
	By      string
}

// Apply is the document after the change; what cannot be done says why, and what
// can.
func (c Change) Apply(d Document, s Seen, now time.Time) (Document, error) {
	t := turn{d, s, c.By, now}
	switch c.Do {
	case "pause":
		if d.State != Running {
			return d, c.cannot(d, "only one that is running can be paused")
		}
		return t.end(Paused, "paused", c.Because).Document, nil
	case "abort":
		if d.State.Final() {
			return d, c.cannot(d, "nothing is left that could be kept from beginning")
		}
		return t.end(Aborted, "aborted", c.Because).Document, nil
	case "resume":
		if d.State == Running || d.State == Done {
			return d, c.cannot(d, "only one that is paused or aborted can be resumed")
		}
		return t.open(d, "resumed", c.Because), c.offered(s)
	case "next":
		return c.next(t)
	}
	return d, fmt.Errorf("%q: want pause, resume, next or abort", c.Do)
}

// next does not wait for the newest wave any more.
func (c Change) next(t turn) (Document, error) {
	if t.d.State.Final() {
		return t.d, c.cannot(t.d, "ratchet rollout resume "+t.d.Job+" takes up an aborted one")
	}
	n := t.advance("forced", c.Because).Document
	return n, c.offered(t.s)
}

// offered says why no wave can be opened, though the operator wants it.
func (c Change) offered(s Seen) error {
	switch {
	case s.Cancelled != "":
		return fmt.Errorf("the job was cancelled (%s): its devices do not run it again; start another under a new id", s.Cancelled)
	case c.Do == "resume" && s.Trouble != "":
		return fmt.Errorf("%s", s.Trouble)
	}
	return nil
}

func (c Change) cannot(d Document, why string) error {
	return fmt.Errorf("rollout %s is %s: %s", d.Job, d.State, why)
}
