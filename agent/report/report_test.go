package report

import (
	"log/slog"
	"net"
	"testing"
	"time"

	"github.com/eclipse/paho.mqtt.golang/packets"
	"github.com/ratchetd/ratchet/agent/clock"
	"github.com/ratchetd/ratchet/agent/config"
	"github.com/ratchetd/ratchet/agent/dialect"
	"github.com/ratchetd/ratchet/agent/link"
	"github.com/ratchetd/ratchet/agent/watchdog"
	"github.com/ratchetd/ratchet/executor"
	"github.com/ratchetd/ratchet/store"
)

func TestProgressIsThatOfTheStep(t *testing.T) {
	r := New()
	r.Live(executor.Live{Key: "j", Job: "j", Step: "a", Attempt: 1, Progress: 1})
	job := executor.Job{ID: "j", Steps: []executor.Step{{Name: "a"}, {Name: "b"}}}
	rec := executor.Record{Key: "j", ID: "j", Job: job, State: executor.Running, At: executor.Cursor{Step: 1}, Steps: make([]executor.StepRecord, 2)}
	if s := dialect.NewStatus("d", r.Report(rec)); s.Step.Progress != 0 {
		t.Errorf("step %s has progress %v, which was step a's", s.Step.Name, s.Step.Progress)
	}
}

func TestWhatABreakSwallowedIsToldAgain(t *testing.T) {
	here, there := net.Pipe()
	go func() { // a broker that accepts, and is gone at the first status
		if _, err := packets.ReadPacket(there); err != nil {
			t.Error(err)
		}
		if err := packets.NewControlPacket(packets.Connack).Write(there); err != nil {
			t.Error(err)
		}
		_, _ = packets.ReadPacket(there)
		there.Close()
	}()
	var c config.Current
	c.Store(config.Default())
	l := link.New()
	l.Config, l.Clock = &c, &clock.Clock{}
	l.Log = slog.New(slog.DiscardHandler)
	end, err := l.Pipe(here)
	if err != nil {
		t.Fatal(err)
	}
	defer end()
	r := New()
	r.Config, r.Link, r.Loop, r.Log = &c, l, watchdog.NewLoop(), l.Log
	job := executor.Job{ID: "j1", Steps: []executor.Step{{Name: "a", Kind: "command"}}}
	if r.DB, err = store.Open(t.TempDir(), store.Options{Log: l.Log}); err != nil {
		t.Fatal(err)
	}
	defer r.DB.Close()
	rec := executor.NewRecord(job, []byte(`{"id":"j1","steps":[{"name":"a","command":{"argv":["true"]}}]}`), time.Now())
	if _, err := r.DB.Accept(rec); err != nil {
		t.Fatal(err)
	}
	rec.State, rec.Rev = executor.Succeeded, 2
	if err := r.DB.Put(rec); err != nil {
		t.Fatal(err)
	}
	r.DB.Told("j1", 2)
	r.Resend(true, time.Now())
	if err := r.tell(t.Context(), l.Session()); err == nil {
		t.Fatal("the broker was gone, and nothing was said of that")
	}
	if r.resendAt == nil {
		t.Error("that all final states are to be sent again is forgotten")
	}
}
