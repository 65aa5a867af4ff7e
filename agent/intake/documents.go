package intake

import (
	"context"
	"errors"
	"fmt"
	"strings"
	"sync"
	"time"

	"github.com/ratchetd/ratchet/agent/dialect"
	"github.com/ratchetd/ratchet/agent/link"
	"github.com/ratchetd/ratchet/executor"
	"github.com/ratchetd/ratchet/executor/backoff"
	"github.com/ratchetd/ratchet/executor/fence"
	"github.com/ratchetd/ratchet/executor/step/fetch"
)

const (
	fetchFirst = 5 * time.Second // between two tries, at first
	fetchMost  = 10 * time.Minute
	fetchTries = 3 // then it is told that the document cannot be had; it is tried on
)

// An arriving is the text of an offer that is on its way.
type arriving struct {
	offered string // where it lies, what it is and who signed it
	cancel  context.CancelFunc
}

var errOtherText = errors.New("sha256: the document is another one")

// documents are the texts that are on their way.
type documents struct {
	limiter *limiter

	mu       sync.Mutex
	arriving map[string]*arriving // by the offer's id
}

// Fetch takes an offer whose text lies elsewhere: it is got in the background, and
// judged when it is there.
func (i *Intake) Fetch(ctx context.Context, s *link.Session, o dialect.Offer) {
	known, used, err := i.DB.Known(o.ID)
	switch {
	case err != nil:
		i.Log.Error("the journal cannot be read", "job", o.ID, "err", err)
		return
	case used && (known == o.Remote.SHA256 || known == ""):
		return
	case used:
		_ = i.reused(o.ID, nil) // it is told by an alert
		return
	}
	session := ctx
	ctx, cancel := context.WithCancel(ctx)
	doc := &arriving{offered: strings.Join([]string{o.Remote.URL, o.Remote.SHA256, o.Signature}, " "), cancel: cancel}
	if !i.documents.begin(o.ID, doc) {
		cancel()
		return
	}
	s.Go(func() {
		defer cancel()
		defer i.documents.end(o.ID, doc)
		if text, ok := i.fetchText(ctx, o); ok {
			s.Decide(o.ID, func() { i.fetched(session, o, doc, text) })
		}
	})
}

// begin reports whether that text is to be fetched; one that was offered before
// under this id and is another one is given up.
func (d *documents) begin(id string, doc *arriving) bool {
	d.mu.Lock()
	defer d.mu.Unlock()
	if was, there := d.arriving[id]; there {
		if was.offered == doc.offered {
			return false
		}
		was.cancel()
	}
	d.arriving[id] = doc
	return true
}

// end reports whether the text was still wanted; it is on its way no longer.
func (d *documents) end(id string, doc *arriving) bool {
	d.mu.Lock()
	defer d.mu.Unlock()
	wanted := d.arriving[id] == doc
	if wanted {
		delete(d.arriving, id)
	}
	return wanted
}

// GiveUp ends the fetching of texts whose offers are gone.
func (i *Intake) GiveUp(gone func(id string) bool) {
	d := &i.documents
	d.mu.Lock()
	defer d.mu.Unlock()
	for id, doc := range d.arriving {
		if gone(id) {
			doc.cancel()
			delete(d.arriving, id)
		}
	}
}

// fetchText tries until the text is there; not ok: it cannot be the right one, or
// nobody wants it any more.
func (i *Intake) fetchText(ctx context.Context, o dialect.Offer) (text []byte, ok bool) {
	refused := executor.Record{Key: o.ID, ID: o.ID, Digest: o.Remote.SHA256, Origin: o.Origin, State: executor.Rejected}
	pause := backoff.Pause{First: fetchFirst, Most: fetchMost}
	for try := 1; ; try++ {
		text, err := i.text(ctx, *o.Remote)
		if ctx.Err() != nil {
			return nil, false
		}
		if err == nil {
			return text, true
		}
		final := errors.Is(err, fetch.ErrNotAllowed) || errors.Is(err, errOtherText)
		if final || try == fetchTries {
			i.refuse(refused, fmt.Errorf("fetching the document: %w", err))
		}
		if final {
			return nil, false
		}
		select {
		case <-time.After(pause.Next()):
		case <-ctx.Done():
			return nil, false
		}
	}
}

// text is what lies at a URL that the owner allows, if it is the right one.
func (i *Intake) text(ctx context.Context, r dialect.Remote) ([]byte, error) {
	done, err := i.documents.limiter.begin(ctx)
	if err != nil {
		return nil, err
	}
	defer done()
	var text []byte
	err = fence.Call(func() (err error) {
		text, err = fetch.Document(ctx, i.Web, r.URL, i.Config.Load().StepPolicy(), executor.MaxDocument)
		return err
	})
	if err == nil && executor.Digest(text) != r.SHA256 {
		err = errOtherText
	}
	return text, err
}

// fetched offers the job as if its text had come with it, if it is still wanted.
func (i *Intake) fetched(ctx context.Context, o dialect.Offer, doc *arriving, text []byte) {
	i.deciding.Lock()
	defer i.deciding.Unlock()
	if !i.documents.end(o.ID, doc) {
		return
	}
	read, ok := dialect.ReadOffer(o.ID, o.Scope, text).(dialect.Offer)
	if !ok {
		read = dialect.Offer{Err: errors.New("the document is no job")}
	}
	o.Text, o.Err, o.Remote = text, read.Err, nil
	_ = i.offer(ctx, o, true) // the refusal is told by its status
}
