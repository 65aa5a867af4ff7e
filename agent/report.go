package agent

import (
	"cmp"
	"context"
	"maps"
	"sync"
	"time"

	mqtt "github.com/eclipse/paho.mqtt.golang"

	"github.com/ratchetd/ratchet/agent/dialect"
	"github.com/ratchetd/ratchet/executor"
)

const (
	progressEvery = 2 * time.Second
	serviceEvery  = 30 * time.Second // to a service, which counts the updates of the whole fleet
	inFlight      = 16               // statuses sent before the broker's answers are awaited
)

// reports is what is to be told beyond what the journal knows: there is no
// outbox, an untold Record is one whose Rev is above what was told.
type reports struct {
	mu       sync.Mutex
	overlay  map[string]overlay // by the Record's key
	again    map[string]bool    // keys to be told though they were told before
	resendAt func(executor.Record) bool
	words    []word
	lines    []dialect.LogLine
	held     int       // bytes in lines
	lined    time.Time // when lines were last handed over
	later    bool      // they will be, in a moment
	seq      map[string]int
	receipts receipts
	every    time.Duration // between two tellings of progress; 0: progressEvery
	idle     bool
	signal   chan struct{}
}

// overlay is what RAM knows of a job beyond its Record.
type overlay struct {
	waiting  string
	step     string // of which, in which attempt, progress is known
	attempt  int
	progress float64
	sent     time.Time // when progress was last told
}

func newReports() *reports {
	return &reports{overlay: map[string]overlay{}, again: map[string]bool{}, seq: map[string]int{}, receipts: newReceipts(), signal: make(chan struct{}, 1)}
}

// wake says that there is something to tell.
func (t *reports) wake() {
	t.mu.Lock()
	t.idle = false
	t.mu.Unlock()
	select {
	case t.signal <- struct{}{}:
	default:
	}
}

// waiting notes why a job waits, or that it does not.
func (t *reports) waiting(key, reason string) {
	t.mu.Lock()
	o := t.overlay[key]
	changed := o.waiting != reason
	o.waiting = reason
	t.overlay[key] = o
	if changed && reason != "" {
		t.again[key] = true
	}
	t.mu.Unlock()
	if changed {
		t.wake()
	}
}

// done forgets what RAM knew of a job that is final.
func (t *reports) done(key string) {
	t.mu.Lock()
	defer t.mu.Unlock()
	delete(t.overlay, key)
	delete(t.seq, key)
}

// live takes what a step has to say while it runs. It never blocks.
func (t *reports) live(l executor.Live) {
	t.mu.Lock()
	due := false
	switch o := t.overlay[l.Key]; {
	case l.Stream == "":
		o.step, o.attempt, o.progress = l.Step, l.Attempt, l.Progress
		due = time.Since(o.sent) >= cmp.Or(t.every, progressEvery)
		if due {
			o.sent = time.Now()
			t.again[l.Key] = true
		}
		t.overlay[l.Key] = o
	case t.held+len(l.Text) > maxLines:
		t.seq[l.Key]++ // whoever reads sees a gap
	default:
		t.line(l)
		due = t.lineDue()
	}
	t.mu.Unlock()
	if due {
		t.wake()
	}
}

// resend asks for final states to be told again: a broker may lose what it has
// acknowledged, and one without our session has lost all it had.
func (t *reports) resend(all bool, now time.Time) {
	t.mu.Lock()
	t.resendAt = func(r executor.Record) bool {
		recent := !r.Ended.IsZero() && now.Sub(r.Ended.Time) < time.Hour && len(r.Steps) > 0
		return r.State.Final() && (all || recent)
	}
	for key, o := range t.overlay {
		if o.waiting != "" {
			t.again[key] = true
		}
	}
	t.mu.Unlock()
	t.wake()
}

// due is what is to be told now, besides words and the untold.
type due struct {
	lines  []dialect.LogLine
	again  map[string]bool
	resend func(executor.Record) bool
}

// take hands over what is due.
func (t *reports) take() due {
	t.mu.Lock()
	defer t.mu.Unlock()
	d := due{t.lines, t.again, t.resendAt}
	if len(t.lines) > 0 {
		t.lined, t.later = time.Now(), false
	}
	t.lines, t.held, t.again, t.resendAt = nil, 0, map[string]bool{}, nil
	return d
}

// putBack takes what was due and was not told; live output is not told twice.
func (t *reports) putBack(d due) {
	t.mu.Lock()
	defer t.mu.Unlock()
	maps.Copy(t.again, d.again)
	if t.resendAt == nil {
		t.resendAt = d.resend
	}
}

// flush waits until all is told, but no longer than d.
func (t *reports) flush(d time.Duration) {
	t.wake()
	for end := time.Now().Add(d); time.Now().Before(end); time.Sleep(10 * time.Millisecond) {
		t.mu.Lock()
		idle := t.idle
		t.mu.Unlock()
		if idle {
			return
		}
	}
}

// report tells what is untold, whenever there is something and a connection.
func (a *Agent) report(ctx context.Context) error {
	for {
		select {
		case <-ctx.Done():
			return nil
		case <-a.pulse.report:
			continue
		case <-a.told.signal:
		case <-a.told.overdue():
		}
		n := a.link.current()
		if n == nil {
			a.told.rest()
			continue
		}
		if err := a.tell(ctx, n.conn); err != nil && ctx.Err() == nil {
			n.fail(err) // what the broker does not take is told on the next connection
			continue
		}
		a.told.rest()
	}
}

// rest notes that there is nothing more to tell, unless something new came.
func (t *reports) rest() {
	t.mu.Lock()
	defer t.mu.Unlock()
	t.idle = len(t.signal) == 0
}

// tell sends everything that is to be told on n.
func (a *Agent) tell(ctx context.Context, n *conn) error {
	if err := a.tellWords(ctx, n); err != nil {
		return err
	}
	d := a.told.take()
	for _, l := range d.lines {
		a.publish(n, a.dialect().Tell(l))
	}
	records, err := a.db.Untold()
	if err == nil && (len(d.again) > 0 || d.resend != nil) {
		var more []executor.Record
		more, err = a.retold(d.again, d.resend)
		records = append(records, more...)
	}
	if err == nil {
		err = a.tellRecords(ctx, n, append(records, a.told.refusals()...))
	}
	if err != nil {
		a.told.putBack(d)
	}
	return err
}

// retold collects Records that are told though they were told before.
func (a *Agent) retold(again map[string]bool, resend func(executor.Record) bool) ([]executor.Record, error) {
	var records []executor.Record
	if resend != nil {
		all, err := a.db.Records()
		if err != nil {
			return nil, err
		}
		for _, r := range all {
			if resend(r) {
				records = append(records, r)
			}
		}
	}
	for key := range again {
		r, ok, err := a.db.Record(key)
		if err != nil {
			return nil, err
		}
		if ok && !r.State.Final() {
			records = append(records, r)
		}
	}
	return records, nil
}

// tellRecords sends statuses; one is told when the broker has taken it or,
// where the service sends receipts, with its receipt.
func (a *Agent) tellRecords(ctx context.Context, n *conn, records []executor.Record) error {
	if a.dialect().Connection().Receipts {
		return a.tellService(ctx, n, records)
	}
	for len(records) > 0 {
		some := records[:min(inFlight, len(records))]
		records = records[len(some):]
		var tokens []mqtt.Token
		for _, r := range some {
			tokens = append(tokens, a.publish(n, a.dialect().Status(a.told.over(r)))...)
		}
		for _, t := range tokens {
			if err := a.acknowledged(ctx, n, t); err != nil {
				return err
			}
		}
		for _, r := range some {
			a.db.Told(r.Key, r.Rev)
		}
	}
	return nil
}

// over lays what RAM knows over a Record.
func (t *reports) over(r executor.Record) dialect.Report {
	t.mu.Lock()
	defer t.mu.Unlock()
	o := t.overlay[r.Key]
	report := dialect.Report{Record: r, Waiting: o.waiting, Taken: t.receipts.taken[r.Key], Bare: t.receipts.bare[r.Key] == r.Rev+1}
	if at := r.At.Step; at < len(r.Steps) && at < r.Job.Total() && r.Job.StepAt(at).Name == o.step && r.Steps[at].Attempts == o.attempt {
		report.Progress = o.progress
	}
	return report
}

func (a *Agent) publish(n *conn, messages []dialect.Message) []mqtt.Token {
	var tokens []mqtt.Token
	for _, m := range messages {
		tokens = append(tokens, n.publish(m))
	}
	return tokens
}
