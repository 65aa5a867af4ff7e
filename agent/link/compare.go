package link

import (
	"context"
	"fmt"
	"time"

	"github.com/ratchetd/ratchet/agent/dialect"
	"github.com/ratchetd/ratchet/store"
)

// A claim is what the broker has of this device's journal.
type claim struct {
	store.Mark
	retained bool // it is the newest
}

// compare looks at what this device, or a copy of it, last said of its journal. A
// journal that has less in it was put back: from a backup, by an overlay in RAM, or
// with the disk of another device. It would run again what it does not know of, so it
// reads its past back first, as a new one does.
func (s *Session) compare(ctx context.Context) error {
	own := s.link.dialect().Topics().Own
	if len(own) == 0 {
		return nil
	}
	s.mu.Lock()
	s.claims = make(chan claim, 16)
	s.mu.Unlock()
	if _, err := s.conn.subscribe(ctx, own, 0); err != nil {
		return fmt.Errorf("asking what was told of the journal: %w", err)
	}
	db := s.link.DB
	if db.New() {
		return nil // its past is read back in any case, and the claim comes meanwhile
	}
	told := s.awaitClaim(ctx)
	if err := context.Cause(ctx); err != nil {
		return err
	}
	defer db.Compared()
	if !db.Lacks(told) {
		return nil
	}
	now := db.Mark()
	if err := db.ReadsBack(told); err != nil {
		return err
	}
	s.link.Raise("journal-older", "critical", fmt.Sprintf("this device told of its journal %s with %d commits, and now has %s with %d: "+
		"was a backup put back, is the root an overlay in RAM, or is this a copied disk? What it had told is read back",
		told.ID, told.Commits, now.ID, now.Commits))
	return nil
}

// awaitClaim returns what the broker has retained, or the newest that came where that
// does not for a while.
func (s *Session) awaitClaim(ctx context.Context) store.Mark {
	var last store.Mark
	for end := time.After(quietFor); ; {
		select {
		case c := <-s.claims:
			if last = c.Mark; !c.retained {
				continue
			}
		case <-end:
		case <-ctx.Done():
		}
		s.mu.Lock()
		defer s.mu.Unlock()
		s.claims = nil
		return last
	}
}

// claimed returns the newest claim that came, and waits for none.
func (s *Session) claimed() store.Mark {
	s.mu.Lock()
	defer s.mu.Unlock()
	var last store.Mark
	for len(s.claims) > 0 {
		last = (<-s.claims).Mark
	}
	s.claims = nil
	return last
}

// claim takes a presence for one, while such are looked for; it reports whether it did.
func (s *Session) claim(p dialect.Presence, retained bool) bool {
	s.mu.Lock()
	defer s.mu.Unlock()
	if s.claims == nil {
		return false
	}
	select {
	case s.claims <- claim{store.Mark(p.Journal), retained}:
	default: // more than a broker keeps for one device
	}
	return true
}
