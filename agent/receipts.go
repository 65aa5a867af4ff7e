package agent

import (
	"context"
	"time"

	"github.com/ratchetd/ratchet/agent/dialect"
	"github.com/ratchetd/ratchet/executor"
)

// A service answers every status within seconds or never: then it is told
// again, first after receiptMin.
var receiptMin, receiptMax = 10 * time.Second, 640 * time.Second

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
	tries int
	again time.Time // then it is told once more
}

func newReceipts() receipts {
	return receipts{waits: map[string]awaited{}, taken: map[string]bool{}, bare: map[string]uint64{},
		closed: map[string]string{}, refused: map[string]executor.Record{}}
}

// refuse takes a refusal that is told until its receipt comes.
func (t *reports) refuse(r executor.Record) {
	t.mu.Lock()
	if was, there := t.receipts.refused[r.Key]; there && was.Digest != r.Digest || !there && len(t.receipts.refused) < maxWords {
		t.receipts.refused[r.Key] = r
	}
	t.mu.Unlock()
	t.wake()
}

// unrefuse takes a refusal back: the offer is gone, or became a job after all.
func (t *reports) unrefuse(key string) {
	t.mu.Lock()
	defer t.mu.Unlock()
	delete(t.receipts.refused, key)
}

func (t *reports) refusals() []executor.Record {
	t.mu.Lock()
	defer t.mu.Unlock()
	var list []executor.Record
	for _, r := range t.receipts.refused {
		list = append(list, r)
	}
	return list
}

// renew tells all that has no receipt at once: the connection is a new one.
func (t *reports) renew() {
	t.mu.Lock()
	clear(t.receipts.waits)
	t.every = serviceEvery
	t.mu.Unlock()
	t.wake()
}

// overdue fires when a status is to be told once more; never while none waits.
func (t *reports) overdue() <-chan time.Time {
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
func (t *reports) mayTell(key string) bool {
	t.mu.Lock()
	defer t.mu.Unlock()
	w := t.receipts.waits[key]
	if time.Now().Before(w.again) {
		return false
	}
	w.again = time.Now().Add(min(receiptMin<<min(w.tries, 10), receiptMax))
	w.tries++
	t.receipts.waits[key] = w
	return true
}

// retell notes that a Record may have news for which it was too early.
func (t *reports) retell(key string) {
	t.mu.Lock()
	defer t.mu.Unlock()
	t.again[key] = true
}

// settled notes that nothing is under way for this Record.
func (t *reports) settled(key string) {
	t.mu.Lock()
	delete(t.receipts.waits, key)
	t.mu.Unlock()
	t.wake()
}

// closing is why the service holds the job for over; empty while it does not.
func (t *reports) closing(key string) string {
	t.mu.Lock()
	defer t.mu.Unlock()
	return t.receipts.closed[key]
}

// tellService sends statuses whose receipts come as messages of their own.
func (a *Agent) tellService(ctx context.Context, n *conn, records []executor.Record) error {
	for _, r := range records {
		if a.told.closing(r.Key) != "" {
			a.unheard(r)
			continue
		}
		messages := a.dialect().Status(a.told.over(r))
		if len(messages) == 0 {
			a.db.Told(r.Key, r.Rev)
			continue
		}
		if !a.told.mayTell(r.Key) {
			a.told.retell(r.Key)
			continue
		}
		for _, t := range a.publish(n, messages) {
			if err := a.acknowledged(ctx, n, t); err != nil {
				return err
			}
		}
	}
	return nil
}

// receipt takes the service's word on a status.
func (a *Agent) receipt(e dialect.Receipt) {
	switch {
	case e.Again:
		a.log.Debug("a status is told again", "job", e.Key, "err", e.Err)
		return // when it is due
	case e.Err == nil && e.Part:
		a.told.begun(e.Key)
	case e.Err == nil:
		a.taken(e.Key, e.Rev)
	case a.told.strip(e.Key, e.Rev):
		a.log.Warn("the service refused what a status says; its bare state is told", "job", e.Key, "err", e.Err)
	default:
		a.log.Error("the service refuses a status", "job", e.Key, "err", e.Err)
		a.alerts.raise("outcome-unreported", "warning", "the service refuses the status of "+e.Key+": "+e.Err.Error())
		a.taken(e.Key, e.Rev)
	}
	a.told.settled(e.Key)
}

// taken notes that the service knows this Record up to rev.
func (a *Agent) taken(key string, rev uint64) {
	a.db.Told(key, rev)
	r, known, err := a.db.Record(key)
	a.told.mu.Lock()
	defer a.told.mu.Unlock()
	if err == nil && (!known || r.State.Final() && r.Rev <= rev) {
		a.told.receipts.forget(key)
		return
	}
	a.told.receipts.taken[key] = true
}

// begun notes that the service has taken something of this Record.
func (t *reports) begun(key string) {
	t.mu.Lock()
	defer t.mu.Unlock()
	t.receipts.taken[key] = true
}

// forget drops what was known of a job of which all is told.
func (t *receipts) forget(key string) {
	delete(t.taken, key)
	delete(t.bare, key)
	delete(t.closed, key)
	delete(t.refused, key)
}

// strip notes that a status is to be told without details; false if it was so.
func (t *reports) strip(key string, rev uint64) bool {
	t.mu.Lock()
	defer t.mu.Unlock()
	if t.receipts.bare[key] > rev {
		return false
	}
	t.receipts.bare[key] = rev + 1
	return true
}

// closed acts on a job that the service holds for over. One that still runs is
// ended as by a cancel; of one that ended otherwise the operator hears.
func (a *Agent) closed(e dialect.Closed) {
	r, known, err := a.db.Record(e.Key)
	if err != nil {
		a.log.Error("the journal cannot be read", "job", e.Key, "err", err)
		return
	}
	if known && (!r.State.Final() || a.untold(r)) && !sameEnd(e.State, r.State) {
		a.told.close(e.Key, "closed by service: "+e.Reason)
	} else {
		a.taken(e.Key, r.Rev)
	}
	if known && !r.State.Final() {
		a.end(e.Key, a.told.closing(e.Key), time.Time{})
	}
	a.told.settled(e.Key)
}

// sameEnd reports whether the service holds a job for ended as it did: a cancel
// of our own is told as a failure.
func sameEnd(theirs, ours executor.State) bool {
	return theirs == ours || theirs == executor.Failed && ours == executor.Cancelled
}

func (a *Agent) untold(r executor.Record) bool {
	records, err := a.db.Untold()
	for _, u := range records {
		if u.Key == r.Key {
			return true
		}
	}
	return err != nil
}

func (t *reports) close(key, why string) {
	t.mu.Lock()
	defer t.mu.Unlock()
	t.receipts.closed[key] = why
	delete(t.receipts.refused, key)
}

// unheard gives up telling what the service does not want to hear. Work that
// was finished all the same is worth an alert.
func (a *Agent) unheard(r executor.Record) {
	if r.State == executor.Succeeded || r.State == executor.Failed {
		a.alerts.raise("outcome-unreported", "warning", "job "+r.ID+" "+string(r.State)+" here, but was "+a.told.closing(r.Key))
	}
	a.taken(r.Key, r.Rev)
}
