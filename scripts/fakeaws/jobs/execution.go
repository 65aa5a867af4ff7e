package jobs

import (
	"encoding/json"
	"fmt"
	"maps"
	"regexp"
	"slices"
	"strings"
	"time"
	"unicode"
	"unicode/utf16"
)

// An Execution is one run of a job on one thing.
type Execution struct {
	JobID    string
	Document string // with its placeholders
	Status   string
	Details  map[string]string
	Version  int64
	Number   int64
	Queued   time.Time
	Started  time.Time
	Updated  time.Time
	History  []string // every status that it had, in order

	order   int64
	timeout time.Duration // in progress; 0: none
	expires time.Time     // by the job's timer
	step    time.Time     // by the step's timer, which the device sets
	retries map[string]int
}

func (e *Execution) open() bool { return e.Status == "QUEUED" || e.Status == "IN_PROGRESS" }

// late reports whether a timer is over [lifecycle].
func (e *Execution) late(now time.Time) bool {
	return e.Status == "IN_PROGRESS" && (!e.expires.IsZero() && now.After(e.expires) || !e.step.IsZero() && now.After(e.step))
}

// left is how long the execution has before the first of its timers is over.
func (e *Execution) left(now time.Time) (time.Duration, bool) {
	first := e.expires
	if first.IsZero() || !e.step.IsZero() && e.step.Before(first) {
		first = e.step
	}
	if e.Status != "IN_PROGRESS" || first.IsZero() {
		return 0, false
	}
	return max(0, first.Sub(now)), true
}

// set gives the execution a status; the lock is held.
func (e *Execution) set(status string, now time.Time) {
	if e.Status != status {
		e.History = append(e.History, status)
	}
	if status == "IN_PROGRESS" && e.Started.IsZero() {
		e.Started = now
		if e.timeout > 0 {
			e.expires = now.Add(e.timeout)
		}
	}
	e.Status, e.Updated = status, now
}

// end closes an execution and, where the job's configuration says so, queues it
// again under the next number [retry]; the lock is held.
func (s *Service) end(name string, t *thing, e *Execution, status string) {
	e.set(status, s.Now())
	for _, kind := range []string{status, "ALL"} {
		if e.retries[kind] > 0 && (status == "FAILED" || status == "TIMED_OUT") {
			again := &Execution{JobID: e.JobID, Document: e.Document, Number: e.Number + 1, timeout: e.timeout, retries: maps.Clone(e.retries)}
			again.retries[kind]--
			s.queue(t, again)
			break
		}
	}
	s.announce(name, t)
}

// queue puts an execution at the end of the thing's queue; the lock is held.
func (s *Service) queue(t *thing, e *Execution) {
	s.created++
	e.order, e.Version, e.Queued = s.created, 1, s.Now()
	e.set("QUEUED", s.Now())
	t.executions = append(t.executions, e)
}

// pending lists the open executions: those in progress first, then in the order
// of their creation [api].
func (t *thing) pending() []*Execution {
	var list []*Execution
	for _, e := range t.executions {
		if e.open() {
			list = append(list, e)
		}
	}
	slices.SortStableFunc(list, func(a, b *Execution) int {
		if (a.Status == "IN_PROGRESS") != (b.Status == "IN_PROGRESS") {
			return map[bool]int{true: -1, false: 1}[a.Status == "IN_PROGRESS"]
		}
		return int(a.order - b.order)
	})
	return list
}

// find is the execution of a job with this number; 0 means the newest. There
// is none of one that was deleted.
func (t *thing) find(job string, number int64) *Execution {
	for _, e := range slices.Backward(t.executions) {
		if e.JobID == job && (number == 0 || e.Number == number) {
			return e
		}
	}
	return nil
}

// maxNotified is how many executions a notification lists [limits].
const maxNotified = 15

// announce notifies the device when an execution has come to its queue or left
// it, and of its head when that is another one; not when executions merely
// change [topics, api]. Whether the list is told when one of it begins is not
// quite clear from these pages: it has neither come nor left. The lock is held.
func (s *Service) announce(name string, t *thing) {
	pending := t.pending()
	names := []string{}
	for _, e := range pending {
		names = append(names, e.name())
	}
	head, queue := "", slices.Sorted(slices.Values(names))
	if told := strings.Join(queue, " "); told != t.told {
		t.told = told
		groups := map[string][]any{}
		for _, e := range pending[:min(len(pending), maxNotified)] {
			groups[e.Status] = append(groups[e.Status], e.summary())
		}
		s.notify(name, "jobs/notify", encode(map[string]any{"timestamp": s.Now().Unix(), "jobs": groups}))
	}
	body := map[string]any{"timestamp": s.Now().Unix()}
	if len(pending) > 0 {
		head, body["execution"] = names[0], s.describe(name, pending[0], true)
	}
	if head == t.head {
		return
	}
	t.head = head
	s.notify(name, "jobs/notify-next", encode(body))
}

// name is another one for each execution, also of a job that was made again.
func (e *Execution) name() string { return fmt.Sprint(e.JobID, "/", e.Number, "/", e.order) }

func (e *Execution) summary() map[string]any {
	m := map[string]any{"jobId": e.JobID, "queuedAt": e.Queued.Unix(), "lastUpdatedAt": e.Updated.Unix(),
		"versionNumber": e.Version, "executionNumber": e.Number}
	if !e.Started.IsZero() {
		m["startedAt"] = e.Started.Unix()
	}
	return m
}

// describe is an execution as the device sees it, its URLs minted again [presigned].
func (s *Service) describe(name string, e *Execution, document bool) map[string]any {
	m := e.summary()
	m["thingName"], m["status"] = name, e.Status
	if len(e.Details) > 0 {
		m["statusDetails"] = e.Details
	}
	if left, timed := e.left(s.Now()); timed {
		m["approximateSecondsBeforeTimedOut"] = int64(left.Seconds())
	}
	if document {
		m["jobDocument"] = json.RawMessage(s.presign(e.Document))
	}
	return m
}

// Bounds of statusDetails [model, limits].
const (
	maxPairs = 10
	maxKey   = 128
	maxValue = 1024
)

var keyForm = regexp.MustCompile(`^[a-zA-Z0-9:_-]+$`)

// badDetails says what is wrong with statusDetails. Values hold no control
// characters [model: [^\p{C}]+].
func badDetails(details map[string]string) string {
	if len(details) > maxPairs {
		return "statusDetails has too many pairs"
	}
	for key, value := range details {
		units := len(utf16.Encode([]rune(value)))
		switch {
		case len(key) > maxKey || !keyForm.MatchString(key):
			return "statusDetails has a bad key " + key
		case units < 1 || units > maxValue:
			return "statusDetails." + key + " has a bad length"
		case strings.ContainsFunc(value, func(r rune) bool { return unicode.Is(unicode.C, r) }):
			return "statusDetails." + key + " has a control character"
		}
	}
	return ""
}

func encode(v any) []byte {
	text, err := json.Marshal(v)
	if err != nil {
		panic(err) // maps of this package only
	}
	return text
}
