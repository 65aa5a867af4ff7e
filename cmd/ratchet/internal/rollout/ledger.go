package rollout

import (
	"context"
	"errors"
	"fmt"
	"time"

	"github.com/ratchetd/ratchet/agent/dialect"
	"github.com/ratchetd/ratchet/cmd/ratchet/internal/link"
)

// A Broker is what a rollout needs of a connection.
type Broker struct {
	// Publish sends a retained message and returns when the broker has it.
	Publish func(ctx context.Context, to dialect.Topic, payload []byte) error
	// Refresh asks for all that is retained once more.
	Refresh func()
	// Feed brings what comes for the subscriptions, Parts among them.
	Feed <-chan link.Message
	// Lost brings the reason whenever the connection broke.
	Lost <-chan error
}

// At is a client's connection.
func At(c *link.Client) Broker { return Broker{c.Publish, c.Refresh, c.Feed(), c.Lost()} }

const (
	// Settle is how long whoever wrote a document waits for what others wrote at
	// the same time.
	Settle   = time.Second
	maxTries = 8
)

// A Ledger keeps the newest document of one rollout and writes the next one. A
// broker knows no compare and swap: each write has a rev above the one that it
// changes, everybody takes the same of two with the same rev for the newer, and
// whoever wrote the other one changes the newer instead.
type Ledger struct {
	Broker Broker
	View   *View
	ID     string            // of this writer; no other has it
	Settle time.Duration     // zero is Settle
	Note   func(text string) // tells what there is to know of the connection; may be nil

	doc   Document // the newest; of rev 0 until there is one
	err   error    // why what lies there is not to be touched
	stale bool     // what lies there is older than doc, which this ledger wrote
	heard time.Time
	voice string // who was heard then: a carrier, as it wrote
}

// Document is the newest that is known.
func (l *Ledger) Document() (Document, error) {
	if l.err == nil && l.doc.Rev == 0 {
		return l.doc, fmt.Errorf("no rollout of job %s: ratchet rollout status lists all", l.View.job)
	}
	return l.doc, l.err
}

// Blocked is why what lies there is not to be touched, or nil.
func (l *Ledger) Blocked() error { return l.err }

// Take takes in a message.
func (l *Ledger) Take(m link.Message) {
	l.View.Apply(m)
	if m.Topic.Part != dialect.Rollouts || m.Topic.Name != l.View.job {
		return
	}
	if l.err = nil; len(m.Payload) == 0 {
		l.err = fmt.Errorf("rollout %s was taken away from the broker: the offers are as they were", l.View.job)
	}
	if m.TooLong {
		l.err = fmt.Errorf("rollouts/%s is longer than %d bytes, so no ratchet wrote it: take it away with an empty retained message", l.View.job, link.MaxRollout)
	}
	if l.err != nil {
		return
	}
	d, err := Parse(l.View.job, m.Payload)
	switch {
	case err != nil:
		l.err = err
		return
	case newer(d, l.doc), same(d, l.doc):
		l.doc, l.stale = d, false
	case l.doc.By == l.ID && (d.By != l.ID || m.Retained):
		l.stale = true
	}
	if d.Carrier != nil && !m.Retained {
		l.voice, l.heard = d.Carrier.ID, time.Now()
	}
}

// listen takes in what comes for some time.
func (l *Ledger) listen(ctx context.Context, span time.Duration) error {
	end := time.NewTimer(span)
	defer end.Stop()
	for {
		select {
		case m := <-l.Broker.Feed:
			l.Take(m)
		case err := <-l.Broker.Lost:
			if l.Note != nil {
				l.Note(fmt.Sprintf("lost the broker (%v), connecting again", err))
			}
		case <-end.C:
			return nil
		case <-ctx.Done():
			return context.Cause(ctx)
		}
	}
}

// errUnchanged is a change of which nothing is to be written.
var errUnchanged = errors.New("nothing is to be changed")

// Create writes the first document of a rollout. It fails where another one came
// first.
func (l *Ledger) Create(ctx context.Context, d Document) error {
	err := l.write(ctx, func(was Document) (Document, error) {
		if was.Rev > 0 {
			return was, fmt.Errorf("rollout %s was started by %s: ratchet rollout status %s shows it; take another id with --id", d.Job, was.By, d.Job)
		}
		return d, nil
	})
	return err
}

// Change makes an operator's change, and waits until it is certain that it stands.
func (l *Ledger) Change(ctx context.Context, c Change) error {
	return l.write(ctx, func(d Document) (Document, error) {
		if _, err := l.Document(); err != nil {
			return d, err
		}
		now := time.Now()
		return c.Apply(d, l.View.See(d, now), now)
	})
}

// write changes the newest document. Where another one is newer by the time that
// it is written, that is changed instead.
func (l *Ledger) write(ctx context.Context, change func(Document) (Document, error)) error {
	for range maxTries {
		if l.err != nil {
			return l.err
		}
		next, err := change(l.doc)
		if errors.Is(err, errUnchanged) {
			return nil
		}
		if err != nil {
			return err
		}
		event := len(next.History) > len(l.doc.History)
		next.Rev, next.By = l.doc.Rev+1, l.ID
		if err := l.put(ctx, next); err != nil {
			return err
		}
		l.doc = next
		if err := l.settle(ctx); err != nil {
			return err
		}
		if l.err == nil && (same(l.doc, next) || event && l.doc.tells(next.History[len(next.History)-1])) {
			return nil
		}
	}
	return fmt.Errorf("rollout %s: others write it all the time: try again", l.View.job)
}

func (l *Ledger) put(ctx context.Context, d Document) error {
	return l.Broker.Publish(ctx, dialect.Topic{Part: dialect.Rollouts, Name: l.View.job}, d.Encode())
}

func (l *Ledger) settle(ctx context.Context) error {
	span := l.Settle
	if span == 0 {
		span = Settle
	}
	return l.listen(ctx, span)
}

// repair writes the document again that this ledger wrote, where an older one was
// written over it.
func (l *Ledger) repair(ctx context.Context) error {
	if !l.stale {
		return nil
	}
	l.stale = false
	return l.put(ctx, l.doc)
}

// tells reports whether an event stands in the history.
func (d Document) tells(e Event) bool {
	for _, h := range d.History {
		if marshal(h) == marshal(e) {
			return true
		}
	}
	return false
}

// Offer offers the job as wide as the document says, where it is not.
func (l *Ledger) Offer(ctx context.Context) error {
	return l.offer(ctx, l.View.See(l.doc, time.Now()).Behind)
}

func (l *Ledger) offer(ctx context.Context, to []string) error {
	for _, t := range to {
		if err := l.Broker.Publish(ctx, dialect.Topic{To: t, Name: l.View.job}, l.View.envelopeOf(t, l.doc.Reach())); err != nil {
			return err
		}
	}
	return nil
}
