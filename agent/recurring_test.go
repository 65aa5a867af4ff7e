package agent

import (
	"context"
	"fmt"
	"log/slog"
	"path/filepath"
	"strings"
	"testing"
	"testing/synctest"
	"time"

	"github.com/ratchetd/ratchet/agent/config"
	"github.com/ratchetd/ratchet/agent/local"
	"github.com/ratchetd/ratchet/executor"
)

// submit gives the device a job as its operator does.
func (d *diary) submit(text string) {
	d.t.Helper()
	err := d.agent.answerSubmit(context.Background(), local.Request{Text: text}, func(any) error { return nil })
	if err != nil {
		d.t.Fatal(err)
	}
	synctest.Wait()
}

func (d *diary) state(id string) string {
	d.t.Helper()
	s, err := d.agent.job(id)
	if err != nil {
		d.t.Fatal(err)
	}
	return strings.TrimSpace(fmt.Sprint(s.State, " ", s.Reason))
}

// A recurring job waits for as long as it recurs; whoever cancels it ends what
// it has begun too.
func TestARecurringJob(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		d := newDiary(t, "", "2026-11-23T22:00:00Z")
		d.on()
		defer func() { d.end() }()
		d.submit(`{"id":"p","schedule":"0 3 * * *","steps":[{"name":"a","command":{"argv":["true"]}}]}`)
		if got, want := d.state("p"), "waiting schedule: next at 2026-11-24T03:00:00Z"; got != want {
			t.Errorf("got %s, want %s", got, want)
		}
		d.live("run 24h, off 1m, busy, run 24h")
		if got, want := d.state("p"), "waiting schedule: next at 2026-11-26T03:00:00Z"; got != want {
			t.Errorf("got %s, want %s", got, want)
		}
		if got, want := d.read(), "p 20261124T030000Z 24T0300, p 20261125T030000Z 25T0300"; got != want {
			t.Errorf("got %s, want %s", got, want)
		}
		d.agent.intake.End("p", "", time.Time{})
		synctest.Wait()
		if got, want := d.state("p"), "cancelled"; got != want {
			t.Errorf("got %s, want %s", got, want)
		}
		if !d.agent.db.Cancelled("p@20261125T030000Z") {
			t.Error("what it began is not cancelled")
		}
		d.live("forget, free, run 48h")
		if got := d.read(); got != "" {
			t.Errorf("cancelled, and it began %s", got)
		}
	})
}

func TestARecurringJobThatCannotBe(t *testing.T) {
	d := &device{t: t, dir: newDiary(t, "[[schedule]]\nname = \"s\"\njob = \"job.json\"\ncron = \"@daily\"\n"+hot, "2026-11-23T22:00:00Z").dir}
	c, err := config.Load(filepath.Join(d.dir, "ratchet.toml"))
	if err != nil {
		t.Fatal(err)
	}
	a, err := New(c, slog.New(slog.DiscardHandler))
	if err != nil {
		t.Fatal(err)
	}
	for _, c := range []struct{ id, schedule, want string }{
		{"p", "0 0 3 * * *", "schedule: \"0 0 3 * * *\": want five fields"},
		{"p", "@every 0s", "whole seconds"},
		{strings.Repeat("x", 48), "@daily", "at most 47 characters"},
		{"s", "@daily", "has a schedule of this name"},
		{"hot", "@daily", "has an alert of this name"},
	} {
		err := a.intake.Able(executor.Job{ID: c.id, Schedule: c.schedule}, "")
		if err == nil || !strings.Contains(err.Error(), c.want) {
			t.Errorf("%s, %s: got %v, want it to say %s", c.id, c.schedule, err, c.want)
		}
	}
}
