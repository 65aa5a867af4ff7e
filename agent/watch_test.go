package agent

import (
	"bytes"
	"context"
	"encoding/json"
	"errors"
	"log/slog"
	"strings"
	"sync"
	"testing"
	"time"

	"github.com/ratchetd/ratchet/agent/local"
	"github.com/ratchetd/ratchet/agent/watchdog"
	"github.com/ratchetd/ratchet/executor"
)

// A hung is an agent of which something is about to hang, what it logs, and how
// it ends.
type hung struct {
	*Agent
	mu    sync.Mutex
	log   bytes.Buffer
	ended chan error
}

func (h *hung) Write(p []byte) (int, error) {
	h.mu.Lock()
	defer h.mu.Unlock()
	return h.log.Write(p)
}

// hungLimit is how long each loop of a hung agent has; three that are late in a
// row count.
const hungLimit = 2 * time.Second

// newHung runs one.
func newHung(t *testing.T, wrap func(Journal) Journal) *hung {
	t.Helper()
	t.Parallel()
	d := newDevice(t, &broker{addr: "127.0.0.1:1"}, "[policy]\nreboot = [\"true\"]\n")
	c := d.configured()
	h := &hung{ended: make(chan error, 1)}
	a, err := New(c, slog.New(slog.NewTextHandler(h, nil)))
	if err != nil {
		t.Fatal(err)
	}
	h.Agent, a.watchdog.Limit = a, hungLimit
	h.Wrap(wrap)
	ctx, cancel := context.WithCancel(context.Background())
	t.Cleanup(cancel)
	go func() { h.ended <- h.Run(ctx, nil) }()
	await(t, "the agent to run", func() bool {
		return local.Call(ctx, local.Path(c.State), local.Request{Do: "jobs"}, func(json.RawMessage) error { return nil }) == nil
	})
	return h
}

// ends is why Run has ended; the log must tell that and where each goroutine is.
func (h *hung) ends(t *testing.T) string {
	t.Helper()
	var err error
	select {
	case err = <-h.ended:
	case <-time.After(patience):
		t.Fatal("it hangs, and does not end")
	}
	if !errors.Is(err, watchdog.ErrHangs) {
		t.Fatalf("got %v", err)
	}
	h.mu.Lock()
	defer h.mu.Unlock()
	said := h.log.String()
	if !strings.Contains(said, err.Error()) || !strings.Contains(said, "goroutine ") || !strings.Contains(said, "watchdog/watchdog.go:") || len(said) > 20<<10 {
		t.Errorf("got a log of %d bytes: %s", len(said), said)
	}
	return strings.TrimPrefix(err.Error(), watchdog.ErrHangs.Error()+": ")
}

// unwrapped leaves the journal as it is.
func unwrapped(j Journal) Journal { return j }

// TestAnAgentOfWhichAPartHangsEndsItself: procd has no watchdog, and starts it
// again when it ends.
func TestAnAgentOfWhichAPartHangsEndsItself(t *testing.T) {
	h := newHung(t, unwrapped)
	h.db.Freeze()
	if got := h.ends(t); got != "a commit to the journal does not end within 2s" {
		t.Errorf("got %s", got)
	}
}

// stuck never returns from a commit of a step's checkpoint: so the step's kind
// hears nothing, neither its timeout nor a stop.
type stuck struct {
	Journal
	in chan struct{}
}

func (s stuck) Put(r executor.Record) error {
	if len(r.Steps) > 0 && len(r.Steps[0].Saved) > 0 && r.State == executor.Running {
		close(s.in)
		select {}
	}
	return s.Journal.Put(r)
}

// hangInStep gives h a job whose only step hangs.
func hangInStep(t *testing.T, timeout string) *hung {
	t.Helper()
	in := make(chan struct{})
	h := newHung(t, func(j Journal) Journal { return stuck{j, in} })
	job := `{"id":"j","steps":[{"name":"a","reboot":{}` + timeout + `}]}`
	if err := local.Call(t.Context(), local.Path(h.config.Load().State), local.Request{Do: "submit", Text: job}, func(json.RawMessage) error { return nil }); err != nil {
		t.Fatal(err)
	}
	<-in
	return h
}

// TestAStepThatOutlivesItsLimitIsNoticed: one that ignores the end of its time.
// Until then, and six limits of a loop longer, nobody may be impatient.
func TestAStepThatOutlivesItsLimitIsNoticed(t *testing.T) {
	began := time.Now()
	h := hangInStep(t, `,"timeout":"700ms"`)
	if got := h.ends(t); !strings.HasPrefix(got, "a step should be over, and goes on for ") || time.Since(began) < 6*hungLimit {
		t.Errorf("got %s after %s", got, time.Since(began))
	}
}

func TestAStepThatRunsWithinItsLimitIsLeftAlone(t *testing.T) {
	h := hangInStep(t, "")
	select {
	case err := <-h.ended:
		t.Errorf("got %v", err)
	case <-time.After(5 * hungLimit): // as nothing else can show it
	}
	h.running.cancel("j", executor.Cancel{})
	if got := h.ends(t); !strings.HasPrefix(got, "a step should be over, and goes on for ") {
		t.Errorf("it was cancelled, and: got %s", got)
	}
}
