package report

import (
	"context"

	"github.com/ratchetd/ratchet/agent/dialect"
	"github.com/ratchetd/ratchet/agent/link"
)

const maxNotices = 256 // that wait to be told; of more the oldest are dropped

// A Notice is something that is told once the broker has taken it, and is not in
// the journal: a refusal, which is judged again after a restart, an alert, or
// that an id is forgotten.
type Notice struct {
	ID       string // not told any more when a job has this id
	Messages []dialect.Message
	Told     func() // nil, or what to do when it is
}

// Say takes a notice to be told.
func (t *Reporter) Say(n Notice) {
	t.mu.Lock()
	t.notices = append(t.notices, n)
	t.notices = t.notices[max(0, len(t.notices)-maxNotices):]
	t.mu.Unlock()
	t.Wake()
}

// tellNotices tells what waits; what the broker does not take waits on. late are those
// on which it has hung up before.
func (t *Reporter) tellNotices(ctx context.Context, n *link.Session, late bool) error {
	t.mu.Lock()
	var notices, others []Notice
	for _, w := range t.notices {
		if len(w.Messages) > 0 && t.Link.Suspects(w.Messages[0].Topic) == late || len(w.Messages) == 0 && !late {
			notices = append(notices, w)
		} else {
			others = append(others, w)
		}
	}
	t.notices = others
	t.mu.Unlock()
	sent := make([][]link.Sent, len(notices))
	for i, w := range notices {
		if _, used, _ := t.DB.Known(w.ID); w.ID == "" || !used {
			sent[i] = n.Send(w.Messages)
		}
	}
	for i, w := range notices {
		for _, one := range sent[i] {
			if err := t.await(ctx, n, one); err != nil {
				t.giveBack(notices[i:])
				return err
			}
		}
		if w.Told != nil {
			w.Told()
		}
	}
	return nil
}

// giveBack takes notices that were not told.
func (t *Reporter) giveBack(notices []Notice) {
	t.mu.Lock()
	defer t.mu.Unlock()
	t.notices = append(notices, t.notices...)
	t.notices = t.notices[max(0, len(t.notices)-maxNotices):]
}

// Forget tells that nothing is known of an id, unless a job has it by then.
func (t *Reporter) Forget(id string) {
	t.Say(Notice{ID: id, Messages: t.dialect().Tell(dialect.Forgotten{ID: id}), Told: func() { t.DB.Cleared(id) }})
}

// Forgotten tells that a job is known no longer.
func (t *Reporter) Forgotten(id string) {
	t.Say(Notice{Messages: t.dialect().Tell(dialect.Forgotten{ID: id})})
}
