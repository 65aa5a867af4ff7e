package intake

import (
	"bytes"
	"regexp"
	"slices"
	"strconv"
	"sync"
	"time"

	"github.com/ratchetd/ratchet/agent/dialect"
	"github.com/ratchetd/ratchet/agent/link"
	"github.com/ratchetd/ratchet/executor"
)

// renewals are documents as a service gave them last. A presigned URL is good
// for an hour at most, from the moment at which the document was asked for: one
// from the journal, or of a job that waited, is worth nothing any more.
type renewals struct {
	mu    sync.Mutex
	given map[string]renewal // by the Record's key
	held  int                // bytes of texts in given
}

// maxGiven is how many bytes of documents are held. Of more the oldest go, and are
// asked for again when their turn comes.
const maxGiven = 1 << 20

type renewal struct {
	text  []byte    // nil: as it was accepted
	at    time.Time // when it came, or zero: it did not come since the agent started
	asked time.Time
}

// came notes a document.
func (r *renewals) came(key string, text []byte) {
	r.mu.Lock()
	defer r.mu.Unlock()
	if r.given == nil {
		r.given = map[string]renewal{}
	}
	r.drop(key)
	for len(text) > 0 && r.held > 0 && r.held+len(text) > maxGiven {
		r.drop(r.oldest())
	}
	r.given[key] = renewal{text: text, at: time.Now()}
	r.held += len(text)
}

// oldest is the key of the text that came first; the lock is held.
func (r *renewals) oldest() (key string) {
	for k, g := range r.given {
		if len(g.text) > 0 && (key == "" || g.at.Before(r.given[key].at)) {
			key = k
		}
	}
	return key
}

// drop forgets a document; the lock is held.
func (r *renewals) drop(key string) {
	r.held -= len(r.given[key].text)
	delete(r.given, key)
}

func (r *renewals) forget(key string) {
	r.mu.Lock()
	defer r.mu.Unlock()
	r.drop(key)
}

func (r *renewals) get(key string) renewal {
	r.mu.Lock()
	defer r.mu.Unlock()
	return r.given[key]
}

// due reports whether to ask for the document now: again only after a while.
func (r *renewals) due(key string) bool {
	r.mu.Lock()
	defer r.mu.Unlock()
	g := r.given[key]
	if time.Since(g.asked) < link.AnswerMin {
		return false
	}
	g.asked = time.Now()
	if r.given == nil {
		r.given = map[string]renewal{}
	}
	r.given[key] = g
	return true
}

// unasked notes that the document could not be asked for.
func (r *renewals) unasked(key string) {
	r.mu.Lock()
	defer r.mu.Unlock()
	g := r.given[key]
	g.asked = time.Time{}
	r.given[key] = g
}

// presigned finds for how many seconds such a URL is good: a week at most. Any
// other number would never be young enough, and hold the queue up for ever.
var presigned = regexp.MustCompile(`[?&]X-Amz-Expires=([1-9]\d{0,5})\b`)

// urlExpired says that the step under the cursor needs a URL that was made too
// long ago, and asks for a new one.
func (i *Intake) urlExpired(r executor.Record) string {
	if r.Key == r.ID || r.At.Step >= r.Job.Total() {
		return ""
	}
	found := presigned.FindSubmatch(bytes.ReplaceAll(r.Job.StepAt(r.At.Step).With, []byte(`\u0026`), []byte("&")))
	if found == nil {
		return ""
	}
	life, _ := strconv.Atoi(string(found[1])) // at worst a new one is asked for
	if g := i.renewals.get(r.Key); !g.at.IsZero() && time.Since(g.at) < time.Duration(life)*time.Second*9/10 {
		return ""
	}
	if i.renewals.due(r.Key) && !i.Desk.Ask(r) {
		i.renewals.unasked(r.Key)
	}
	return "its presigned URL is fetched again"
}

// AwaitsURL tells why a step that was cut may not be begun again yet. One that
// has not begun is held back by the gate.
func (i *Intake) AwaitsURL(r executor.Record) string {
	if r.State != executor.Running || r.At.Phase != executor.Forward || r.At.Undo || r.At.Step >= len(r.Steps) || r.Steps[r.At.Step].Attempts == 0 {
		return ""
	}
	return i.urlExpired(r)
}

// given is the document that an accepted job is given again, or nil for what was
// accepted. Where jobs are signed nothing else will do: what the owner signed has
// been judged, and for another text a service has only its own word.
func (i *Intake) given(o dialect.Offer, accepted string) []byte {
	if len(i.Config.Load().Policy.Keys) > 0 && executor.Digest(o.Text) != accepted {
		return nil
	}
	return o.Text
}

// Renewed is the Record with the document as it came last, if that differs
// from what was accepted in nothing but what the steps say.
func (i *Intake) Renewed(r executor.Record) executor.Record {
	g := i.renewals.get(r.Key)
	if g.text == nil {
		return r
	}
	job, err := executor.Parse(g.text)
	same := func(a, b executor.Step) bool { return a.Name == b.Name && a.Kind == b.Kind }
	if err == nil && slices.EqualFunc(job.Steps, r.Job.Steps, same) && slices.EqualFunc(job.OnFailure, r.Job.OnFailure, same) && i.Able(job, r.By) == nil {
		job.ID = r.ID
		r.Job = job
	}
	return r
}
