package agent

import (
	"context"
	"errors"
	"fmt"
	"strings"
	"time"

	"github.com/ratchetd/ratchet/agent/dialect"
	"github.com/ratchetd/ratchet/executor"
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

// fetchOffer takes an offer whose text lies elsewhere: it is got in the
// background, and judged when it is there.
func (s *session) fetchOffer(ctx context.Context, o dialect.Offer) {
	known, used, err := s.db.Known(o.ID)
	switch {
	case err != nil:
		s.log.Error("the journal cannot be read", "job", o.ID, "err", err)
		return
	case used && (known == o.Remote.SHA256 || known == ""):
		return
	case used:
		_ = s.reused(o.ID, nil) // it is told by an alert
		return
	}
	offered := strings.Join([]string{o.Remote.URL, o.Remote.SHA256, o.Signature}, " ")
	ctx, cancel := context.WithCancel(ctx)
	s.mu.Lock()
	defer s.mu.Unlock()
	if f, there := s.fetching[o.ID]; there {
		if f.offered == offered {
			cancel()
			return
		}
		f.cancel()
	}
	s.fetching[o.ID] = arriving{offered, cancel}
	s.loops.Go(func() {
		defer cancel()
		s.fetchText(ctx, o)
	})
}

// stopFetching gives up the texts of offers that are gone.
func (s *session) stopFetching(gone func(id string) bool) {
	s.mu.Lock()
	defer s.mu.Unlock()
	for id, f := range s.fetching {
		if gone(id) {
			f.cancel()
			delete(s.fetching, id)
		}
	}
}

// fetchText tries until the text is there, or cannot be the right one.
func (s *session) fetchText(ctx context.Context, o dialect.Offer) {
	refused := executor.Record{Key: o.ID, ID: o.ID, Digest: o.Remote.SHA256, Origin: o.Origin, State: executor.Rejected}
	wait := fetchFirst
	for try := 1; ; try++ {
		text, err := s.text(ctx, *o.Remote)
		if ctx.Err() != nil {
			return
		}
		if err == nil {
			s.fetched(ctx, o, text)
			return
		}
		final := errors.Is(err, fetch.ErrNotAllowed) || errors.Is(err, errOtherText)
		if final || try == fetchTries {
			s.refuse(refused, fmt.Errorf("fetching the document: %w", err))
		}
		if final {
			return
		}
		select {
		case <-time.After(wait):
			wait = min(2*wait, fetchMost)
		case <-ctx.Done():
			return
		}
	}
}

// text is what lies at a URL that the owner allows, if it is the right one.
func (s *session) text(ctx context.Context, r dialect.Remote) ([]byte, error) {
	done, err := s.fetches.begin(ctx)
	if err != nil {
		return nil, err
	}
	defer done()
	text, err := fetch.Document(ctx, s.web, r.URL, s.policy(), executor.MaxDocument)
	if err == nil && executor.Digest(text) != r.SHA256 {
		err = errOtherText
	}
	return text, err
}

// fetched offers the job as if its text had come with it.
func (s *session) fetched(ctx context.Context, o dialect.Offer, text []byte) {
	s.mu.Lock()
	delete(s.fetching, o.ID)
	s.mu.Unlock()
	read, ok := dialect.ReadOffer(o.ID, o.Scope, text).(dialect.Offer)
	if !ok {
		read = dialect.Offer{Err: errors.New("the document is no job")}
	}
	o.Text, o.Err, o.Remote = text, read.Err, nil
	s.inHand(1)
	_ = s.offer(ctx, o, true) // the refusal is told by its status
	s.inHand(-1)
	s.touch(o.ID)
}
