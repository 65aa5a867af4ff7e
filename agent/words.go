package agent

import (
	"context"

	mqtt "github.com/eclipse/paho.mqtt.golang"

	"github.com/ratchetd/ratchet/agent/dialect"
)

const maxWords = 256 // that wait to be told; of more the oldest are dropped

// A word is something that is told once the broker has taken it, and is not in
// the journal: a refusal, which is judged again after a restart, an alert, or
// that an id is forgotten.
type word struct {
	id       string // not told any more when a job has this id
	messages []dialect.Message
	told     func() // nil, or what to do when it is
}

// say takes a word to be told.
func (t *reports) say(w word) {
	t.mu.Lock()
	t.words = append(t.words, w)
	t.words = t.words[max(0, len(t.words)-maxWords):]
	t.mu.Unlock()
	t.wake()
}

// tellWords tells what waits; what the broker does not take waits on.
func (a *Agent) tellWords(ctx context.Context, n *conn) error {
	a.told.mu.Lock()
	words := a.told.words
	a.told.words = nil
	a.told.mu.Unlock()
	tokens := make([][]mqtt.Token, len(words))
	for i, w := range words {
		if _, used, _ := a.db.Known(w.id); w.id == "" || !used {
			tokens[i] = a.publish(n, w.messages)
		}
	}
	for i, w := range words {
		for _, t := range tokens[i] {
			if err := a.acknowledged(ctx, n, t); err != nil {
				a.told.giveBack(words[i:])
				return err
			}
		}
		if w.told != nil {
			w.told()
		}
	}
	return nil
}

// giveBack takes words that were not told.
func (t *reports) giveBack(words []word) {
	t.mu.Lock()
	defer t.mu.Unlock()
	t.words = append(words, t.words...)
	t.words = t.words[max(0, len(t.words)-maxWords):]
}
