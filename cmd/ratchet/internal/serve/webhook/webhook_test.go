package webhook

import (
	"context"
	"crypto/hmac"
	"crypto/sha256"
	"encoding/hex"
	"encoding/json"
	"io"
	"log/slog"
	"net/http"
	"net/http/httptest"
	"testing"
	"time"

	"github.com/ratchetd/ratchet/agent/dialect"
	"github.com/ratchetd/ratchet/cmd/ratchet/internal/link"
)

func said(part, name, payload string) link.Message {
	return link.Message{Topic: dialect.Topic{Device: "gw-7", Part: part, Name: name}, Payload: []byte(payload)}
}

func TestEventsAreSignedAndToldOnceThoughTheServerFailsAtFirst(t *testing.T) {
	secret := []byte("0123456789")
	told := make(chan Event, 10)
	failures := 2
	web := httptest.NewServer(http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		body, _ := io.ReadAll(r.Body)
		if failures > 0 {
			failures--
			w.WriteHeader(http.StatusServiceUnavailable)
			return
		}
		mac := hmac.New(sha256.New, secret)
		mac.Write(body)
		if got, want := r.Header.Get(Signature), "sha256="+hex.EncodeToString(mac.Sum(nil)); got != want {
			t.Errorf("signature %s, want %s", got, want)
		}
		var e Event
		if err := json.Unmarshal(body, &e); err != nil {
			t.Error(err)
		}
		told <- e
	}))
	defer web.Close()
	s := &Sender{URL: web.URL, Secret: secret, Log: slog.New(slog.DiscardHandler), Wait: time.Millisecond}
	ctx, cancel := context.WithCancel(t.Context())
	done := make(chan error, 1)
	go func() { done <- s.Run(ctx) }()
	defer func() { cancel(); <-done }()
	raised := said("alerts", "disk", `{"state":"raised","severity":"critical","since":"2026-11-30T11:00:00Z"}`)
	old := raised
	old.Retained = true
	for _, m := range []link.Message{old, raised, raised, said("jobs", "wifi", `{"state":"running","rev":2}`), said("jobs", "wifi", `{"state":"failed","rev":3,"reason":"no space"}`),
		said("jobs", "wifi", `{"state":"failed","rev":3}`), said("health", "", "{}"), said("jobs", "x", "{"), said("alerts", "disk", `{"state":"cleared","since":"2026-11-30T11:00:00Z"}`)} {
		s.Take(m)
	}
	for _, want := range []string{"alert-raised", "job-failed", "alert-cleared"} {
		if e := <-told; e.Event != want || e.Device != "gw-7" || e.ID == "" {
			t.Errorf("got %+v, want %s", e, want)
		}
	}
	if len(told) > 0 {
		t.Errorf("and %+v", <-told)
	}
}

func TestAServerThatTakesNothingHoldsNothingUp(t *testing.T) {
	s := &Sender{URL: "http://127.0.0.1:1", Log: slog.New(slog.DiscardHandler)}
	for i := range uint64(2 * mostWaiting) {
		text, _ := json.Marshal(dialect.JobStatus{State: "failed", Rev: i + 1})
		s.Take(said("jobs", "wifi", string(text)))
	}
	if len(s.waiting) != mostWaiting {
		t.Errorf("%d events wait, want %d", len(s.waiting), mostWaiting)
	}
}
