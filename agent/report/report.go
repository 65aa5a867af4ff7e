// Package report tells the broker how the jobs are, and knows when something
// counts as told: when the broker has taken it or, where a service sends receipts,
// with its receipt. What is durable it reads from the journal; it decides nothing.
package report

import (
	"cmp"
	"context"
	"log/slog"
	"maps"
	"slices"
	"sync"
	"time"

	"github.com/ratchetd/ratchet/agent/config"
	"github.com/ratchetd/ratchet/agent/dialect"
	"github.com/ratchetd/ratchet/agent/link"
	"github.com/ratchetd/ratchet/agent/watchdog"
	"github.com/ratchetd/ratchet/executor"
	"github.com/ratchetd/ratchet/store"
)

const (
	progressEvery = 2 * time.Second
	serviceEvery  = 30 * time.Second // to a service, which counts the updates of the whole fleet
	inFlight      = 16               // statuses sent before the broker's answers are awaited
)

// A Reporter tells the broker how the jobs are. What is to be told is what the
// journal says is untold: there is no outbox. Beyond that it knows what is not
// worth a commit: why a job waits, how far a step is, what it says, and refusals.
type Reporter struct {
	Config *config.Current
	Link   *link.Link
	DB     *store.DB
	// Raise tells an operator what he has to know.
	Raise func(name, severity, why string)
	Log   *slog.Logger
	Loop  *watchdog.Loop

	mu       sync.Mutex
	overlay  map[string]overlay // by the Record's key
	warned   map[string]string  // what went wrong about a job and is not in its Record, by that key
	again    map[string]bool    // keys to be told though they were told before
	resendAt func(executor.Record) bool
	notices  []Notice
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

// New is a Reporter that has nothing to tell yet.
func New() *Reporter {
	return &Reporter{overlay: map[string]overlay{}, warned: map[string]string{}, again: map[string]bool{}, seq: map[string]int{}, receipts: newReceipts(), signal: make(chan struct{}, 1)}
}

// Wake says that there is something to tell.
func (t *Reporter) Wake() {
	t.mu.Lock()
	t.idle = false
	t.mu.Unlock()
	select {
	case t.signal <- struct{}{}:
	default:
	}
}

// Waiting notes why a job waits, or that it does not.
func (t *Reporter) Waiting(key, reason string) {
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
		t.Wake()
	}
}

// Warn has a job's status say what went wrong about it, which costs no commit: the
// first thing, until the agent ends. A flood of others changes nothing.
func (t *Reporter) Warn(key, text string) {
	t.mu.Lock()
	_, there := t.warned[key]
	if there = there || len(t.warned) >= maxNotices; !there {
		t.warned[key], t.again[key] = text, true
	}
	t.mu.Unlock()
	if !there {
		t.Wake()
	}
}

// Done notes that a job is final: it says so in the log, and forgets what RAM knew
// of it.
func (t *Reporter) Done(r executor.Record) {
	t.Log.Info("job ended", "job", r.ID, "state", string(r.State), "reason", r.Reason, "took", time.Duration(r.Ran).Round(time.Millisecond))
	t.Drop(r.Key)
}

// Drop forgets what RAM knew of a job.
func (t *Reporter) Drop(key string) {
	t.mu.Lock()
	defer t.mu.Unlock()
	delete(t.overlay, key)
	delete(t.seq, key)
}

// Live takes what a step has to say while it runs. It never blocks.
func (t *Reporter) Live(l executor.Live) {
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
		t.Wake()
	}
}

// Resend asks for final states to be told again: a broker may lose what it has
// acknowledged, and one without our session has lost all it had.
func (t *Reporter) Resend(all bool, now time.Time) {
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
	t.Wake()
}

// due is what is to be told now, besides notices and the untold.
type due struct {
	lines  []dialect.LogLine
	again  map[string]bool
	resend func(executor.Record) bool
}

// nextDue returns what is due.
func (t *Reporter) nextDue() due {
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
func (t *Reporter) putBack(d due) {
	t.mu.Lock()
	defer t.mu.Unlock()
	maps.Copy(t.again, d.again)
	if t.resendAt == nil {
		t.resendAt = d.resend
	}
}

// Flush waits until all is told, but no longer than d.
func (t *Reporter) Flush(d time.Duration) {
	t.Wake()
	for end := time.Now().Add(d); time.Now().Before(end); time.Sleep(10 * time.Millisecond) {
		t.mu.Lock()
		idle := t.idle
		t.mu.Unlock()
		if idle {
			return
		}
	}
}

// Run tells what is untold, whenever there is something and a connection.
func (t *Reporter) Run(ctx context.Context) error {
	for {
		select {
		case <-ctx.Done():
			return nil
		case <-t.Loop.Beat():
			continue
		case <-t.signal:
		case <-t.overdue():
		}
		n := t.Link.Session()
		if n == nil {
			t.rest()
			continue
		}
		if err := t.tell(ctx, n); err != nil && ctx.Err() == nil {
			n.Fail(err) // what the broker does not take is told on the next connection
			continue
		}
		t.rest()
	}
}

// rest notes that there is nothing more to tell, unless something new came.
func (t *Reporter) rest() {
	t.mu.Lock()
	defer t.mu.Unlock()
	t.idle = len(t.signal) == 0
}

// tell sends everything that is to be told on n.
func (t *Reporter) tell(ctx context.Context, n *link.Session) error {
	if err := t.tellNotices(ctx, n, false); err != nil {
		return err
	}
	d := t.nextDue()
	for _, l := range d.lines {
		n.Send(t.dialect().Tell(l))
	}
	records, err := t.DB.Untold()
	if err == nil && (len(d.again) > 0 || d.resend != nil) {
		var more []executor.Record
		more, err = t.retold(d.again, d.resend)
		records = append(records, more...)
	}
	if err == nil {
		err = t.tellRecords(ctx, n, append(records, t.refusals()...))
	}
	if err != nil {
		t.putBack(d)
		return err
	}
	return t.tellNotices(ctx, n, true)
}

// retold collects Records that are told though they were told before.
func (t *Reporter) retold(again map[string]bool, resend func(executor.Record) bool) ([]executor.Record, error) {
	var records []executor.Record
	if resend != nil {
		all, err := t.DB.Records()
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
		r, ok, err := t.DB.Record(key)
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
func (t *Reporter) tellRecords(ctx context.Context, n *link.Session, records []executor.Record) error {
	if t.dialect().Connection().Service {
		return t.tellService(ctx, n, records)
	}
	if t.Link.Hindered() {
		slices.SortStableFunc(records, func(a, b executor.Record) int { return cmp.Compare(t.late(a), t.late(b)) })
	}
	for len(records) > 0 {
		some := records[:min(inFlight, len(records))]
		records = records[len(some):]
		var sent []link.Sent
		for _, r := range some {
			sent = append(sent, n.Send(t.status(r))...)
		}
		for _, one := range sent {
			if err := t.await(ctx, n, one); err != nil {
				return err
			}
		}
		for _, r := range some {
			t.DB.Told(r.Key, r.Rev)
		}
	}
	return nil
}

// status is what to send of a Record: as much of it as the broker takes.
func (t *Reporter) status(r executor.Record) []dialect.Message {
	report := t.Report(r)
	messages := t.dialect().Status(report)
	if len(messages) == 0 {
		return nil
	}
	if report.Room = t.Link.Room(messages[0].Topic); report.Room > 0 {
		return t.dialect().Status(report)
	}
	return messages
}

// late is 1 for a Record that goes behind others, for the broker has hung up on its
// status before, and 0 for any other.
func (t *Reporter) late(r executor.Record) int {
	for _, m := range t.dialect().Status(dialect.Report{Record: executor.Record{ID: r.ID, State: r.State}}) {
		if t.Link.Suspects(m.Topic) {
			return 1
		}
	}
	return 0
}

// Report lays what RAM knows over a Record.
func (t *Reporter) Report(r executor.Record) dialect.Report {
	t.mu.Lock()
	defer t.mu.Unlock()
	o := t.overlay[r.Key]
	if text := t.warned[r.Key]; text != "" {
		r.Warnings = append([]string{text}, r.Warnings...)
	}
	report := dialect.Report{Record: r, Waiting: o.waiting, Taken: t.receipts.taken[r.Key], Bare: t.receipts.bare[r.Key] == r.Rev+1}
	if at := r.At.Step; at < len(r.Steps) && at < r.Job.Total() && r.Job.StepAt(at).Name == o.step && r.Steps[at].Attempts == o.attempt {
		report.Progress = o.progress
	}
	return report
}

// await waits for the broker's answer to what is told.
func (t *Reporter) await(ctx context.Context, n *link.Session, sent link.Sent) error {
	defer t.Loop.Await()()
	return n.Await(ctx, sent)
}

func (t *Reporter) dialect() dialect.Dialect { return t.Config.Load().Dialect() }
