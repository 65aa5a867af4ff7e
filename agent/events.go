package agent

import (
	"context"
	"fmt"
	"time"

	"github.com/ratchetd/ratchet/agent/dialect"
	"github.com/ratchetd/ratchet/agent/link"
	"github.com/ratchetd/ratchet/store"
)

// events is the link's Handler: it gives what came to whoever it is for.
type events struct{ agent *Agent }

// Handle decides one event.
func (h events) Handle(ctx context.Context, s *link.Session, e dialect.Event) {
	a := h.agent
	switch e := e.(type) {
	case dialect.Offer:
		if e.Remote != nil {
			a.intake.Fetch(ctx, s, e)
		} else {
			_ = a.intake.Offer(ctx, e, true) // the refusal is told by its status
		}
	case dialect.Cancel:
		if e.Service {
			a.intake.TakeBack(e.ID)
		} else if err := a.intake.Cancel(e); err != nil {
			h.refusedCancel(e.ID, err)
		}
	case dialect.Cleared:
		a.intake.Cleared(e.ID)
	case dialect.Receipt:
		a.report.Receipt(e)
	case dialect.Closed:
		h.closed(e)
	case dialect.Open:
		h.open(s, e)
	case dialect.Call:
		a.takeCall(ctx, s, e)
	case dialect.Defended:
		a.health.Defended(e)
	default:
		panic(fmt.Sprintf("an event that nobody handles: %T", e))
	}
}

// refusedCancel tells that a cancel does nothing: it took the place of the offer, and
// whoever sent it would take the job for cancelled.
func (h events) refusedCancel(id string, why error) {
	a := h.agent
	a.log.Warn("a cancel was refused", "job", id, "err", why)
	key := a.intake.KeyOf(id)
	if r, known, err := a.db.Record(key); err == nil && known && !r.State.Final() {
		a.report.Warn(key, "a cancel was refused: "+why.Error())
	}
}

// closed ends a job that the service holds for over.
func (h events) closed(e dialect.Closed) {
	a := h.agent
	if why := a.report.Closed(e); why != "" {
		a.intake.End(e.Key, why, time.Time{})
	}
}

// open compares what the service holds open with what this device has begun.
func (h events) open(s *link.Session, e dialect.Open) {
	a := h.agent
	held := map[string]bool{}
	for _, key := range e.Keys {
		held[key] = true
	}
	records, err := a.db.Unfinished()
	if err != nil {
		s.Fail(fmt.Errorf("the journal cannot be read: %w", err)) // it is asked for again
		return
	}
	for _, r := range records {
		switch {
		case held[r.Key] || dialect.From(r) != e.From:
		case e.Cancels:
			a.intake.End(r.Key, "", time.Time{})
		case e.Sure:
			h.closed(dialect.Closed{Key: r.Key, Reason: "it is not offered any more"})
		default:
			s.Send(a.config.Load().Dialect().Tell(dialect.Ask{Record: r}))
		}
	}
	if e.Cancels {
		a.intake.GiveUp(func(id string) bool { return !held[id] })
	}
}

// Remember gives a journal that is new, or older than what was told, what this device
// told earlier.
func (h events) Remember(told []dialect.JobStatus) error {
	a := h.agent
	var past []store.Past
	for _, p := range told {
		past = append(past, store.Past{ID: p.Job, State: p.State, Rev: p.Rev, Digest: p.Digest})
	}
	if err := a.journal.ReadBack(past); err != nil {
		return err
	}
	a.running.endIf(a.isOver, errOver)
	a.queue.poke()
	a.schedules.Poke()
	a.report.Wake()
	return nil
}

// Facts is what this device says of itself.
func (h events) Facts() []byte { return h.agent.facts.JSON() }

// Hold keeps what is newly offered from beginning.
func (h events) Hold() { h.agent.queue.hold() }

// Connected has everything told that waits for a connection.
func (h events) Connected(lost bool) {
	a := h.agent
	a.health.Retry()
	if a.config.Load().Dialect().Connection().Service {
		a.report.Renew()
	} else {
		a.report.Resend(lost, a.clock.Now())
	}
	a.alerts.Resend()
	a.judgeCertificate() // it may have been renewed
}

// Settled lets what was offered begin, and forgets what a full subscribe did not
// bring any more.
func (h events) Settled(seen map[string]bool) {
	a := h.agent
	a.queue.release()
	if seen != nil {
		if err := a.prune(seen); err != nil {
			a.log.Warn("the history was not pruned", "err", err)
		}
	}
	trim()
}

// factsChanged tells facts that are not as they were told last, and has offers
// judged again where that matters.
func (h events) factsChanged() {
	a := h.agent
	now := a.facts.JSON()
	if before := a.link.UpdateFacts(now); before != nil && a.facts.Matter(before, now) {
		a.link.Restart()
	}
}
