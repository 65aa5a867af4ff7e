// Package rollout is how a job reaches a fleet in waves. What is so stands in one
// retained document below rollouts/, so that whoever finds nobody at work carries
// it on. What comes next is decided by a pure function of the document, of what
// the fleet says and of the time. It prints nothing.
package rollout

import (
	"cmp"
	"encoding/json"
	"errors"
	"fmt"
	"slices"
	"time"
	"unicode/utf8"

	"github.com/ratchetd/ratchet/agent/dialect"
	"github.com/ratchetd/ratchet/cmd/ratchet/internal/link"
	"github.com/ratchetd/ratchet/executor"
)

// A State is how a rollout stands.
type State string

// The states of a rollout. Aborted lets nobody begin who has not begun; paused
// leaves to each wave that is open what it has.
const (
	Running State = "running"
	Paused  State = "paused"
	Done    State = "done"
	Aborted State = "aborted"
)

// A Document is a rollout as it lies at the broker.
type Document struct {
	Job     string            `json:"job"`
	Digest  string            `json:"digest"` // of the job's exact text
	To      []string          `json:"to"`     // where the job is offered
	State   State             `json:"state"`
	Wave    int               `json:"wave"` // the newest that is open, from 0
	Waves   []Wave            `json:"waves"`
	Soak    executor.Duration `json:"soak"`
	Gates   Gates             `json:"gates"`
	Since   executor.Time     `json:"since"`            // when the wave was opened, or taken up again
	Soaking executor.Time     `json:"soaking,omitzero"` // when enough had answered
	Base    Counts            `json:"base"`             // what had been judged by Since
	Carrier *Claim            `json:"carrier,omitempty"`
	Rev     uint64            `json:"rev"` // rises with every change
	By      string            `json:"by"`  // who wrote this rev
	History []Event           `json:"history"`
}

// Gates are what a wave must pass. Shares are in percent.
type Gates struct {
	AbortAbove float64           `json:"abortAbove"` // of those that answered, how many may fail
	MinAnswers float64           `json:"minAnswers"` // how many must answer
	Within     executor.Duration `json:"within"`     // how long devices are waited for
	PauseOn    []string          `json:"pauseOn,omitempty"`
}

// A Claim is a carrier's word that it is at work.
type Claim struct {
	ID    string        `json:"id"`
	Until executor.Time `json:"until"`
}

// An Event is what somebody did; all of them are the rollout's audit log.
type Event struct {
	At      executor.Time `json:"at"`
	By      string        `json:"by"`
	Did     string        `json:"did"`
	Wave    string        `json:"wave,omitempty"`
	Because string        `json:"because,omitempty"`
	Counts  *Counts       `json:"counts,omitempty"` // over all waves by then
}

const (
	maxTo      = 64
	maxWaves   = 32
	maxBecause = 500 // bytes
)

// Parse reads and checks what lies below rollouts/ under a job's id.
func Parse(job string, payload []byte) (Document, error) {
	var d Document
	err := executor.Decode(payload, &d)
	if err == nil {
		err = d.check(job)
	}
	if err != nil {
		return Document{}, fmt.Errorf("rollouts/%s cannot be read: %w: nothing is written to it; mend it, or publish an empty retained message there to take it away", job, err)
	}
	return d, nil
}

func (d *Document) check(job string) error {
	switch {
	case d.Job != job:
		return fmt.Errorf("job: is %q, but the topic says %q", d.Job, job)
	case !executor.ValidID(d.Job):
		return fmt.Errorf("job: %q: want 1 to 64 of A-Z a-z 0-9 _ -", d.Job)
	case !slices.Contains([]State{Running, Paused, Done, Aborted}, d.State):
		return fmt.Errorf("state: %q: want running, paused, done or aborted", d.State)
	case d.Wave < 0 || d.Wave >= len(d.Waves):
		return fmt.Errorf("wave: is %d, counted from 0, but there are %d", d.Wave, len(d.Waves))
	case d.Rev == 0:
		return errors.New("rev: want 1 or more")
	case d.By == "" || d.Carrier != nil && d.Carrier.ID == "":
		return errors.New("by, carrier.id: want who wrote it")
	case d.Since.IsZero():
		return errors.New("since: want when the wave was opened")
	case len(d.History) == 0:
		return errors.New("history: want how it began")
	case len(d.To) == 0 || len(d.To) > maxTo:
		return fmt.Errorf("to: want 1 to %d places where the job is offered", maxTo)
	}
	return errors.Join(checkWaves(d.Waves), d.Gates.check())
}

func (g Gates) check() error {
	switch {
	case !(g.AbortAbove >= 0 && g.AbortAbove <= 100):
		return errors.New("gates.abortAbove: want 0 to 100 percent")
	case !(g.MinAnswers >= 0 && g.MinAnswers <= 100):
		return errors.New("gates.minAnswers: want 0 to 100 percent")
	case g.Within <= 0:
		return errors.New("gates.within: want a time above zero")
	}
	return nil
}

// Encode is what is written. The audit log gives up what is oldest, but for its
// beginning, before it grows too long for its readers.
func (d Document) Encode() []byte {
	for {
		text := dialect.Marshal(d)
		if len(text) <= link.MaxRollout-1024 || len(d.History) < 3 {
			return text
		}
		d.History = slices.Delete(slices.Clone(d.History), 1, 2+len(d.History)/8)
	}
}

// Final reports whether nothing comes any more unless somebody wants it.
func (s State) Final() bool { return s == Done || s == Aborted }

// newer reports whether a is to be kept rather than b. Of two that were written
// at the same time everybody must choose the same, in whatever order they come.
func newer(a, b Document) bool {
	return cmp.Or(cmp.Compare(a.Rev, b.Rev), cmp.Compare(a.By, b.By)) > 0
}

// same reports whether two documents are the same write.
func same(a, b Document) bool { return a.Rev == b.Rev && a.By == b.By }

// with is the document with one more event.
func (d Document) with(e Event) Document {
	for len(e.Because) > maxBecause {
		_, size := utf8.DecodeLastRuneInString(e.Because)
		e.Because = e.Because[:len(e.Because)-size]
	}
	d.History = append(slices.Clip(slices.Clone(d.History)), e)
	return d
}

// Wave returns the newest open wave.
func (d Document) wave() Wave { return d.Waves[d.Wave] }

func stamp(t time.Time) executor.Time { return executor.Time{Time: t.UTC().Truncate(time.Second)} }

// marshal is for comparing.
func marshal(v any) string {
	text, _ := json.Marshal(v)
	return string(text)
}
