package watch

import (
	"context"
	"fmt"
	"log/slog"
	"path/filepath"
	"testing"
	"time"

	"github.com/ratchetd/ratchet/agent/dialect"
	"github.com/ratchetd/ratchet/cmd/ratchet/internal/broker"
	"github.com/ratchetd/ratchet/cmd/ratchet/internal/fleet"
	"github.com/ratchetd/ratchet/cmd/ratchet/internal/link"
	"github.com/ratchetd/ratchet/cmd/ratchet/internal/serve/memory"
)

// until waits for what must come.
func until(t *testing.T, w *Watcher, what string, so func() bool) {
	t.Helper()
	late := time.After(time.Minute)
	for {
		changed := w.Changed()
		if so() {
			return
		}
		select {
		case <-changed:
		case <-late:
			t.Fatalf("no %s within a minute: %+v", what, w.Status())
		}
	}
}

type stage struct {
	t    *testing.T
	link link.Options
	file string
	c    *link.Client
}

func staged(t *testing.T) *stage {
	t.Helper()
	url, stop, err := broker.Start()
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(stop)
	o := link.Options{Broker: url, Root: "ratchet/v1"}
	c, err := link.Connect(t.Context(), o)
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(c.Close)
	return &stage{t, o, filepath.Join(t.TempDir(), "serve.db"), c}
}

// start starts watching; end ends it.
func (s *stage) start() (w *Watcher, end func()) {
	s.t.Helper()
	m, err := memory.Open(context.Background(), s.file)
	if err != nil {
		s.t.Fatal(err)
	}
	w = &Watcher{Link: s.link, Memory: m, Log: slog.New(slog.DiscardHandler)}
	ctx, cancel := context.WithCancel(context.Background())
	done := make(chan error, 1)
	go func() { done <- w.Run(ctx) }()
	until(s.t, w, "connection", func() bool { return w.Status().Connected })
	return w, func() { cancel(); <-done; m.Close() }
}

func (s *stage) say(part, name, payload string) {
	s.t.Helper()
	to := dialect.Topic{Device: "gw-7", Part: part, Name: name}
	publish := s.c.Publish
	if part == "health" {
		publish = s.c.PublishOnce
	}
	if err := publish(s.t.Context(), to, []byte(payload)); err != nil {
		s.t.Fatal(err)
	}
}

func TestWhatIsRetainedAndWhatComesIsSeen(t *testing.T) {
	s := staged(t)
	s.say("state", "", `{"online":true}`)
	w, end := s.start()
	defer end()
	online := func() (yes bool) {
		w.View(func(f *fleet.Fleet) { yes = f.Device("gw-7").Presence.Online })
		return yes
	}
	if !online() {
		t.Error("what was retained is not seen")
	}
	s.say("state", "", `{"online":false}`)
	until(t, w, "device that went", func() bool { return !online() })
}

func TestWhatDevicesSayWhileNobodyWatchesIsNotLost(t *testing.T) {
	s := staged(t)
	_, end := s.start()
	end()
	s.say("alerts", "disk", `{"state":"raised","since":"2026-11-30T11:00:00Z"}`)
	s.say("alerts", "disk", `{"state":"cleared","since":"2026-11-30T11:00:00Z","cleared":"2026-11-30T11:30:00Z"}`)
	s.say("alerts", "disk", "")
	for i := range 50 {
		s.say("health", "", fmt.Sprintf(`{"time":"2026-11-30T11:%02d:00Z","cpu":{"percent":5}}`, i))
	}
	w, end := s.start()
	defer end()
	at := time.Date(2026, 11, 30, 11, 0, 0, 0, time.UTC)
	until(t, w, "samples", func() bool {
		points, _, err := w.Memory.Health(t.Context(), "gw-7", at, at.Add(time.Hour), 300)
		alerts, failed := w.Memory.Alerts(t.Context(), "gw-7", 1<<62, 10)
		return err == nil && failed == nil && len(points) == 50 && len(alerts) == 1 && !alerts[0].Cleared.IsZero()
	})
}

func TestADeviceThatSaysOnlineAndNothingElseBecomesStale(t *testing.T) {
	s := staged(t)
	s.say("state", "", `{"online":true}`)
	w, end := s.start()
	defer end()
	w.View(func(f *fleet.Fleet) {
		d, now := f.Device("gw-7"), time.Now()
		if got := w.State(d, now); got != fleet.Online {
			t.Errorf("%s at once", got)
		}
		if got := w.State(d, now.Add(time.Hour)); got != fleet.Stale || !w.Listened(now.Add(time.Hour)) {
			t.Errorf("%s after an hour", got)
		}
	})
}

func TestAnAlertThatNobodyRaisesAnyMoreEndsAtTheNextStart(t *testing.T) {
	s := staged(t)
	s.say("alerts", "disk", `{"state":"raised","since":"2026-11-30T11:00:00Z"}`)
	w, end := s.start()
	raised := func() bool {
		alerts, err := w.Memory.Alerts(t.Context(), "gw-7", 1<<62, 10)
		return err == nil && len(alerts) == 1 && alerts[0].Cleared.IsZero()
	}
	until(t, w, "alert", raised)
	end()
	s.link.Broker = emptyBroker(t)
	w, end = s.start()
	defer end()
	if raised() {
		t.Error("it is still raised, though the broker retains nothing")
	}
}

func emptyBroker(t *testing.T) string {
	t.Helper()
	url, stop, err := broker.Start()
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(stop)
	return url
}
