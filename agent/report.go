package agent

import (
	"context"
	"sync"
	"time"

	mqtt "github.com/eclipse/paho.mqtt.golang"

	"github.com/ratchetd/ratchet/agent/dialect"
	"github.com/ratchetd/ratchet/executor"
)

const (
	progressEvery = 2 * time.Second
	maxRefusals   = 256 // that wait to be told; more are judged again later
	maxLines      = 256 // of live output that wait to be told; more are dropped
	inFlight      = 16  // statuses sent before the broker's answers are awaited
)

// reports is what is to be told beyond what the journal knows: there is no
// outbox, an untold Record is one whose Rev is above what was told.
type reports struct {
	mu       sync.Mutex
	overlay  map[string]overlay // by the Record's key
	again    map[string]bool    // keys to be told though they were told before
	resendAt func(executor.Record) bool
	refused  []executor.Record
	lines    []dialect.LogLine
	seq      map[string]int
	idle     bool
	signal   chan struct{}
}

// overlay is what RAM knows of a job beyond its Record.
type overlay struct {
	waiting  string
	progress float64
	sent     time.Time // when progress was last told
}

func newReports() *reports {
	return &reports{overlay: map[string]overlay{}, again: map[string]bool{}, seq: map[string]int{}, signal: make(chan struct{}, 1)}
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
		o.progress = l.Progress
		due = time.Since(o.sent) >= progressEvery
		if due {
			o.sent = time.Now()
			t.again[l.Key] = true
		}
		t.overlay[l.Key] = o
	case len(t.lines) < maxLines:
		t.seq[l.Key]++
		t.lines = append(t.lines, dialect.LogLine{Job: l.Job, Step: l.Step, Attempt: l.Attempt, Seq: t.seq[l.Key], Stream: l.Stream, Text: l.Text})
		due = true
	}
	t.mu.Unlock()
	if due {
		t.wake()
	}
}

// refuse takes a refusal to be told. When too many wait, the oldest is dropped:
// its offer is judged again.
func (t *reports) refuse(r executor.Record) {
	t.mu.Lock()
	if len(t.refused) == maxRefusals {
		t.refused = t.refused[1:]
	}
	t.refused = append(t.refused, r)
	t.mu.Unlock()
	t.wake()
}

// giveBack takes refusals that could not be told. The next connection wakes
// the report.
func (t *reports) giveBack(refused []executor.Record) {
	t.mu.Lock()
	defer t.mu.Unlock()
	t.refused = append(refused, t.refused...)
	t.refused = t.refused[max(0, len(t.refused)-maxRefusals):]
}

// resend asks for final states to be told again: a broker may lose what it has
// acknowledged, and one without our session has lost all it had.
func (t *reports) resend(all bool, now time.Time) {
	t.mu.Lock()
	t.resendAt = func(r executor.Record) bool {
		return r.State.Final() && (all || r.Ended.IsZero() || now.Sub(r.Ended.Time) < time.Hour)
	}
	for key, o := range t.overlay {
		if o.waiting != "" {
			t.again[key] = true
		}
	}
	t.mu.Unlock()
	t.wake()
}

// take hands over what is to be told now, besides the untold.
func (t *reports) take() (refused []executor.Record, lines []dialect.LogLine, again map[string]bool, resend func(executor.Record) bool) {
	t.mu.Lock()
	defer t.mu.Unlock()
	refused, lines, again, resend = t.refused, t.lines, t.again, t.resendAt
	t.refused, t.lines, t.again, t.resendAt = nil, nil, map[string]bool{}, nil
	return refused, lines, again, resend
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
		case <-a.told.signal:
		}
		n := a.link.current()
		if n == nil {
			a.told.rest()
			continue
		}
		if err := a.tell(ctx, n); err != nil && ctx.Err() == nil {
			a.log.Debug("not told yet", "err", err)
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
	refused, lines, again, resend := a.told.take()
	d := a.dialect()
	for _, l := range lines {
		for _, m := range d.Tell(l) {
			n.publish(m)
		}
	}
	if err := a.tellRefused(ctx, n, refused); err != nil {
		return err
	}
	records, err := a.db.Untold()
	if err != nil {
		return err
	}
	if len(again) > 0 || resend != nil {
		more, err := a.retold(again, resend)
		if err != nil {
			return err
		}
		records = append(records, more...)
	}
	return a.tellRecords(ctx, n, records)
}

// tellRefused sends refusals. They are nowhere but here: what the broker has
// not taken waits for the next connection, unless a corrected document came.
func (a *Agent) tellRefused(ctx context.Context, n *conn, refused []executor.Record) error {
	var tokens []mqtt.Token
	for _, r := range refused {
		if _, used, _ := a.db.Known(r.ID); !used {
			tokens = append(tokens, a.publish(n, a.dialect().Status(dialect.Report{Record: r}))...)
		}
	}
	for _, t := range tokens {
		if err := answered(ctx, t); err != nil {
			a.told.giveBack(refused)
			return err
		}
	}
	return nil
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

// tellRecords sends statuses; one is told when the broker has taken it.
func (a *Agent) tellRecords(ctx context.Context, n *conn, records []executor.Record) error {
	for len(records) > 0 {
		some := records[:min(inFlight, len(records))]
		records = records[len(some):]
		var tokens []mqtt.Token
		for _, r := range some {
			tokens = append(tokens, a.publish(n, a.dialect().Status(a.told.over(r)))...)
		}
		for _, t := range tokens {
			if err := answered(ctx, t); err != nil {
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
	return dialect.Report{Record: r, Waiting: o.waiting, Progress: o.progress}
}

func (a *Agent) publish(n *conn, messages []dialect.Message) []mqtt.Token {
	var tokens []mqtt.Token
	for _, m := range messages {
		tokens = append(tokens, n.publish(m))
	}
	return tokens
}
