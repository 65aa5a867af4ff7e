package report

import (
	"context"
	"time"

	"github.com/ratchetd/ratchet/agent/dialect"
	"github.com/ratchetd/ratchet/agent/link"
	"github.com/ratchetd/ratchet/executor"
	"github.com/ratchetd/ratchet/executor/backoff"
)

// receipts is what RAM knows of a service that takes or refuses each status. By
// the key of the Record; after a restart all that is untold is told again.
type receipts struct {
	waits   map[string]awaited
	taken   map[string]bool            // something was taken of it
	bare    map[string]uint64          // one above the rev whose words were refused
	closed  map[string]string          // why: nothing more is to be told of it
	refused map[string]executor.Record // offers that became no job
}

// awaited is a status whose receipt has not come.
type awaited struct {
	pause backoff.Pause
	again time.Time // then it is told once more
}

func newReceipts() receipts {
	return receipts{waits: map[string]awaited{}, taken: map[string]bool{}, bare: map[string]uint64{},
		closed: map[string]string{}, refused: map[string]executor.Record{}}
}

// Refuse tells that an offer became no job; the Record says why. Where a service
// sends receipts it is told until its own comes.
func (t *Reporter) Refuse(r executor.Record) {
	if !t.dialect().Connection().Service {
		t.Say(Notice{ID: r.ID, Messages: t.dialect().Status(dialect.Report{Record: r})})
		return
	}
	t.mu.Lock()
	if was, there := t.receipts.refused[r.Key]; there && was.Digest != r.Digest || !there && len(t.receipts.refused) < maxNotices {
		t.receipts.refused[r.Key] = r
	}
	t.mu.Unlock()
	t.Wake()
}

// Withdraw drops a refusal: the offer is gone, or became a job after all.
func (t *Reporter) Withdraw(key string) {
	t.mu.Lock()
	defer t.mu.Unlock()
	t.receipts.withdraw(key)
}

func (t *Reporter) refusals() []executor.Record {
	t.mu.Lock()
	defer t.mu.Unlock()
	var list []executor.Record
	for _, r := range t.receipts.refused {
		list = append(list, r)
	}
	return list
}

// Renew tells all that has no receipt at once: the connection is a new one.
func (t *Reporter) Renew() {
	t.mu.Lock()
	clear(t.receipts.waits)
	t.every = serviceEvery
	t.mu.Unlock()
	t.Wake()
}

// overdue fires when a status is to be told once more; never while none waits.
func (t *Reporter) overdue() <-chan time.Time {
	t.mu.Lock()
	defer t.mu.Unlock()
	var first time.Time
	for _, w := range t.receipts.waits {
		if first.IsZero() || w.again.Before(first) {
			first = w.again
		}
	}
	if first.IsZero() {
		return nil
	}
	return time.After(max(0, time.Until(first)))
}

// mayTell reports whether a status of this Record may be sent now: of one job
// only one is under way. It notes that it is.
func (t *Reporter) mayTell(key string) bool {
	t.mu.Lock()
	defer t.mu.Unlock()
	w, there := t.receipts.waits[key]
	if time.Now().Before(w.again) {
		return false
	}
	if !there {
		w.pause = backoff.Pause{First: link.AnswerMin, Most: link.AnswerMax}
	}
	w.again = time.Now().Add(w.pause.Next())
	t.receipts.waits[key] = w
	return true
}

// retell notes that a Record may have news for which it was too early.
func (t *Reporter) retell(key string) {
	t.mu.Lock()
	defer t.mu.Unlock()
	t.again[key] = true
}

// answered says that nothing is under way for this Record any more.
func (t *Reporter) answered(key string) {
	t.mu.Lock()
	delete(t.receipts.waits, key)
	t.mu.Unlock()
	t.Wake()
}

// Closing is why the service holds the job for over; empty while it does not.
func (t *Reporter) Closing(key string) string {
	t.mu.Lock()
	defer t.mu.Unlock()
	return t.receipts.closed[key]
}

// tellService sends statuses whose receipts come as messages of their own.
func (t *Reporter) tellService(ctx context.Context, n *link.Session, records []executor.Record) error {
	for _, r := range records {
		if t.Closing(r.Key) != "" {
			t.unheard(r)
			continue
		}
		messages := t.dialect().Status(t.Report(r))
		if len(messages) == 0 {
			t.DB.Told(r.Key, r.Rev)
			continue
		}
		if !t.mayTell(r.Key) {
			t.retell(r.Key)
			continue
		}
		for _, one := range n.Send(messages) {
			if err := t.await(ctx, n, one); err != nil {
				return err
			}
		}
	}
	return nil
}

// Receipt takes the service's word on a status. On a job that is not here it may
// say what it likes, as often as it likes: nothing of it is kept.
func (t *Reporter) Receipt(e dialect.Receipt) {
	switch {
	case !t.knows(e.Key):
	case e.Again:
		t.Log.Debug("a status is told again", "job", e.Key, "err", e.Err)
		return // when it is due
	case e.Err == nil && e.Part:
		t.begun(e.Key)
	case e.Err == nil:
		t.accepted(e.Key, e.Rev)
	case t.strip(e.Key, e.Rev):
		t.Log.Warn("the service refused what a status says; its bare state is told", "job", e.Key, "err", e.Err)
	default:
		t.Log.Error("the service refuses a status", "job", e.Key, "err", e.Err)
		t.Raise("outcome-unreported", "warning", "the service refuses the status of "+e.Key+": "+e.Err.Error())
		t.accepted(e.Key, e.Rev)
	}
	t.answered(e.Key)
}

// knows reports whether there is something to tell of the key at all.
func (t *Reporter) knows(key string) bool {
	t.mu.Lock()
	_, refused := t.receipts.refused[key]
	t.mu.Unlock()
	if refused {
		return true
	}
	_, known, err := t.DB.Known(key)
	return known || err != nil
}

// accepted says that the service knows this Record up to rev.
func (t *Reporter) accepted(key string, rev uint64) {
	t.DB.Told(key, rev)
	r, known, err := t.DB.Record(key)
	t.mu.Lock()
	defer t.mu.Unlock()
	if err == nil && (!known || r.State.Final() && r.Rev <= rev) {
		t.receipts.forget(key)
		return
	}
	t.receipts.taken[key] = true
}

// begun notes that the service has taken something of this Record.
func (t *Reporter) begun(key string) {
	t.mu.Lock()
	defer t.mu.Unlock()
	t.receipts.taken[key] = true
}

// withdraw drops a refusal, and what is awaited of it.
func (t *receipts) withdraw(key string) {
	if _, there := t.refused[key]; there {
		delete(t.refused, key)
		delete(t.waits, key)
	}
}

// forget drops what was known of a job of which all is told.
func (t *receipts) forget(key string) {
	delete(t.taken, key)
	delete(t.bare, key)
	delete(t.closed, key)
	delete(t.refused, key)
}

// strip notes that a status is to be told without details; false if it was so.
func (t *Reporter) strip(key string, rev uint64) bool {
	t.mu.Lock()
	defer t.mu.Unlock()
	if t.receipts.bare[key] > rev {
		return false
	}
	t.receipts.bare[key] = rev + 1
	return true
}

// Closed takes it that the service holds a job for over. It returns why the job
// is to be ended here, as by a cancel; empty where it is over. Of one that ended
// otherwise the operator hears.
func (t *Reporter) Closed(e dialect.Closed) (why string) {
	r, known, err := t.DB.Record(e.Key)
	if err != nil {
		t.Log.Error("the journal cannot be read", "job", e.Key, "err", err)
		return ""
	}
	defer t.answered(e.Key)
	if known && (!r.State.Final() || t.untold(r)) && !sameEnd(e.State, r.State) {
		t.close(e.Key, "closed by service: "+e.Reason)
	} else {
		t.accepted(e.Key, r.Rev)
	}
	if known && !r.State.Final() {
		return t.Closing(e.Key)
	}
	return ""
}

// sameEnd reports whether the service holds a job for ended as it did: a cancel
// of our own is told as a failure.
func sameEnd(theirs, ours executor.State) bool {
	return theirs == ours || theirs == executor.Failed && ours == executor.Cancelled
}

func (t *Reporter) untold(r executor.Record) bool {
	records, err := t.DB.Untold()
	for _, u := range records {
		if u.Key == r.Key {
			return true
		}
	}
	return err != nil
}

func (t *Reporter) close(key, why string) {
	t.mu.Lock()
	defer t.mu.Unlock()
	t.receipts.closed[key] = why
	t.receipts.withdraw(key)
}

// unheard gives up telling what the service does not want to hear. Work that
// was finished all the same is worth an alert.
func (t *Reporter) unheard(r executor.Record) {
	if r.State == executor.Succeeded || r.State == executor.Failed {
		t.Raise("outcome-unreported", "warning", "job "+r.ID+" "+string(r.State)+" here, but was "+t.Closing(r.Key))
	}
	t.accepted(r.Key, r.Rev)
}
