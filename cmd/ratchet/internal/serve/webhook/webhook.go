// Package webhook tells another server what happens in the fleet: an alert that is
// raised or cleared, a job that failed on a device, a rollout that stopped. It
// judges nothing, and what cannot be told holds nothing up.
package webhook

import (
	"bytes"
	"context"
	"crypto/hmac"
	"crypto/sha256"
	"encoding/hex"
	"encoding/json"
	"fmt"
	"log/slog"
	"net/http"
	"sync"
	"time"

	"github.com/ratchetd/ratchet/agent/dialect"
	"github.com/ratchetd/ratchet/cmd/ratchet/internal/link"
	"github.com/ratchetd/ratchet/cmd/ratchet/internal/rollout"
	"github.com/ratchetd/ratchet/executor"
)

const (
	mostWaiting = 1000 // events
	mostKnown   = 20000
	tries       = 8
	sendTime    = 10 * time.Second
	// Signature is the header with "sha256=" and the HMAC of the body in hex.
	Signature = "Ratchet-Signature"
)

// An Event is what is told, as JSON.
type Event struct {
	Event    string `json:"event"` // alert-raised, alert-cleared, job-failed, rollout-paused or rollout-aborted
	At       string `json:"at"`
	Device   string `json:"device,omitempty"`
	Job      string `json:"job,omitempty"`
	Alert    string `json:"alert,omitempty"`
	Severity string `json:"severity,omitempty"`
	Reason   string `json:"reason,omitempty"`
	ID       string `json:"id"` // the same when an event is told twice
}

// A Sender tells events to a URL. URL and Log must be set.
type Sender struct {
	URL    string
	Secret []byte // none: what is sent is not signed
	Log    *slog.Logger
	Wait   time.Duration // after a first failure, then twice as long; zero is a second

	once    sync.Once
	waiting chan Event
	known   map[string]string // what was told last, by what it was about
}

func (s *Sender) start() {
	s.once.Do(func() { s.waiting, s.known = make(chan Event, mostWaiting), map[string]string{} })
}

// Take takes in a message that came just now, and returns at once. One goroutine
// may call it.
func (s *Sender) Take(m link.Message) {
	s.start()
	about, e := read(m)
	if e.Event == "" || m.Retained || s.known[about] == e.ID {
		return
	}
	if len(s.known) >= mostKnown {
		clear(s.known) // then something may be told twice
	}
	s.known[about] = e.ID
	e.At = time.Now().UTC().Format(time.RFC3339)
	select {
	case s.waiting <- e:
	default:
		s.Log.Warn("the webhook is behind: an event is not told", "event", e.Event, "device", e.Device, "job", e.Job)
	}
}

// read makes an event of a message, and says what it is about; most are none.
func read(m link.Message) (about string, e Event) {
	t := m.Topic
	about = t.Device + "/" + t.Part + "/" + t.Name
	switch t.Part {
	case "alerts":
		var a dialect.Alert
		if json.Unmarshal(m.Payload, &a) == nil && a.State != "" {
			e = Event{Event: "alert-" + a.State, Device: t.Device, Alert: t.Name, Severity: a.Severity, Reason: a.Rule}
			e.ID = fmt.Sprint(about, "/", a.State, "/", a.Since.Unix())
		}
	case "jobs":
		var s dialect.JobStatus
		if json.Unmarshal(m.Payload, &s) == nil && (s.State == executor.Failed || s.State == executor.Rejected) {
			e = Event{Event: "job-failed", Device: t.Device, Job: t.Name, Reason: s.Reason, ID: fmt.Sprint(about, "/", s.Rev)}
		}
	case dialect.Rollouts:
		if d, err := rollout.Parse(t.Name, m.Payload); err == nil && (d.State == rollout.Paused || d.State == rollout.Aborted) {
			e = Event{Event: "rollout-" + string(d.State), Job: t.Name, ID: fmt.Sprint(about, "/", d.State, "/", len(d.History))}
			if n := len(d.History); n > 0 {
				e.Reason = d.History[n-1].Because
			}
		}
	}
	return about, e
}

// Run tells what waits until ctx ends, one event after another.
func (s *Sender) Run(ctx context.Context) error {
	s.start()
	for {
		select {
		case e := <-s.waiting:
			s.tell(ctx, e)
		case <-ctx.Done():
			return nil
		}
	}
}

// tell tries again and again, for some minutes.
func (s *Sender) tell(ctx context.Context, e Event) {
	wait := s.Wait
	if wait == 0 {
		wait = time.Second
	}
	var err error
	for range tries {
		if err = s.post(ctx, e); err == nil {
			return
		}
		select {
		case <-time.After(wait):
		case <-ctx.Done():
			return
		}
		wait *= 2
	}
	s.Log.Warn("the webhook does not take an event", "event", e.Event, "device", e.Device, "job", e.Job, "err", err)
}

func (s *Sender) post(ctx context.Context, e Event) error {
	body, err := json.Marshal(e)
	if err != nil {
		return err
	}
	ctx, cancel := context.WithTimeout(ctx, sendTime)
	defer cancel()
	r, err := http.NewRequestWithContext(ctx, http.MethodPost, s.URL, bytes.NewReader(body))
	if err != nil {
		return err
	}
	r.Header.Set("Content-Type", "application/json")
	if len(s.Secret) > 0 {
		mac := hmac.New(sha256.New, s.Secret)
		mac.Write(body)
		r.Header.Set(Signature, "sha256="+hex.EncodeToString(mac.Sum(nil)))
	}
	answer, err := http.DefaultClient.Do(r)
	if err != nil {
		return err
	}
	answer.Body.Close()
	if answer.StatusCode >= 300 {
		return fmt.Errorf("it answers %s", answer.Status)
	}
	return nil
}
