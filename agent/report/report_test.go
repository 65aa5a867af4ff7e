package report

import (
	"log/slog"
	"net"
	"testing"
	"time"

	"github.com/eclipse/paho.mqtt.golang/packets"
	"github.com/ratchetd/ratchet/agent/config"
	"github.com/ratchetd/ratchet/agent/dialect"
	"github.com/ratchetd/ratchet/agent/link"
	"github.com/ratchetd/ratchet/agent/watchdog"
	"github.com/ratchetd/ratchet/executor"
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

// A known is a journal in which nothing is untold and one job has ended.
type known struct{ job executor.Record }

func (k known) Untold() ([]executor.Record, error)               { return nil, nil }
func (k known) Records() ([]executor.Record, error)              { return []executor.Record{k.job}, nil }
func (k known) Record(string) (executor.Record, bool, error)     { return k.job, true, nil }
func (k known) Known(string) (digest string, is bool, err error) { return "", true, nil }
func (k known) Told(string, uint64)                              {}

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
	l.Log = slog.New(slog.DiscardHandler)
	end, err := l.Pipe(here)
	if err != nil {
		t.Fatal(err)
	}
	defer end()
	r := New()
	r.Config, r.Link, r.Loop, r.Log = &c, l, watchdog.NewLoop(), l.Log
	job := executor.Job{ID: "j1", Steps: []executor.Step{{Name: "a", Kind: "command"}}}
	r.Journal = known{executor.Record{Key: "j1", ID: "j1", Job: job, State: executor.Succeeded, Rev: 3, Steps: make([]executor.StepRecord, 1)}}
	r.Resend(true, time.Now())
	if err := r.tell(t.Context(), l.Session()); err == nil {
		t.Fatal("the broker was gone, and nothing was said of that")
	}
	if r.resendAt == nil {
		t.Error("that all final states are to be sent again is forgotten")
	}
}
