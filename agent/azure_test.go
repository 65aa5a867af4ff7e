package agent

import (
	"crypto/rand"
	"encoding/json"
	"fmt"
	"os"
	"path/filepath"
	"strings"
	"testing"
	"time"

	"aead.dev/minisign"

	"github.com/ratchetd/ratchet/agent/dialect/azure"
	"github.com/ratchetd/ratchet/executor"
	"github.com/ratchetd/ratchet/scripts/fakehub/hub"
)

func TestATwinJobRunsOnceAndIsCountedByAQuery(t *testing.T) {
	c := newCloud(t, &hub.Hub{})
	d := c.device("", "")
	file := filepath.Join(d.dir, "ran")
	long := doc("roll1", file, "a", "b")
	long["description"] = strings.Repeat("ä", 3000) // more than one piece
	c.desireDoc("roll1", long)
	d.start()
	got := c.await("roll1", executor.Succeeded)
	if n := c.count(executor.Succeeded, "roll1"); n != 1 {
		t.Errorf("the query counts %d, want 1: %v", n, got)
	}
	c.desireDoc("roll2", map[string]any{"id": "roll2", "steps": []any{map[string]any{"name": "x", "command": map[string]any{"argv": []string{"false"}}}}})
	if got := c.await("roll2", executor.Failed); !strings.Contains(fmt.Sprint(got["reason"]), "step x") {
		t.Errorf("got %v, want the reason", got)
	}
	d.stop()
	d.start()
	c.desireDoc("roll3", doc("roll3", file, "c"))
	c.await("roll3", executor.Succeeded)
	if got := read(t, file); got != "a b c" {
		t.Errorf("ran %q, want a b c", got)
	}
	c.until("the whole outcome as an event", func() bool {
		for _, m := range c.Messages("gw-1") {
			if m.Properties["kind"] == "status" && m.Properties["job"] == "roll3" && m.Properties["$.ct"] == "application/json" && statusOf(string(m.Payload)).State == executor.Succeeded {
				return true
			}
		}
		return false
	})
}

// endless is a job that runs until it is cancelled.
func endless(id, file string) map[string]any {
	return map[string]any{"id": id, "steps": []any{map[string]any{"name": "long", "command": map[string]any{"shell": "echo ran >>" + file + "; sleep 600"}}}}
}

// later is a job that waits until tomorrow.
func later(id string) map[string]any {
	job := doc(id, "/dev/null", "a")
	job["notBefore"] = time.Now().Add(24 * time.Hour).UTC().Format(time.RFC3339)
	return job
}

func TestAJobThatTheTwinTakesBackIsCancelled(t *testing.T) {
	c := newCloud(t, &hub.Hub{})
	d := c.device("", "")
	file := filepath.Join(d.dir, "ran")
	d.start()
	c.desireDoc("null", endless("null", file))
	c.until("it to run", func() bool { return read(t, file) == "ran" })
	c.desire("null", nil)
	c.await("null", executor.Cancelled)

	c.desireDoc("absent", later("absent"))
	c.await("absent", executor.Waiting)
	d.stop()
	c.desire("absent", nil) // nobody hears it
	d.start()
	c.await("absent", executor.Cancelled)

	// What was never a job leaves no mark: the same id may come later.
	c.desire("later", nil)
	c.desireDoc("later", doc("later", file, "later"))
	c.await("later", executor.Succeeded)
}

func TestARefusedTwinJobIsToldAndMayBeMended(t *testing.T) {
	c := newCloud(t, &hub.Hub{})
	d := c.device("", "").start()
	file := filepath.Join(d.dir, "ran")
	c.desire("j", map[string]any{"t": map[string]string{"0": "{", "2": "}"}})
	if got := c.await("j", executor.Rejected); !strings.Contains(fmt.Sprint(got["reason"]), "none is 1") {
		t.Errorf("got %v, want the missing piece", got)
	}
	c.desire("j", map[string]any{"t": map[string]any{"0": string(text(t, doc("j", file, "a"))), "2": nil}})
	c.await("j", executor.Succeeded)
	c.desire("gone", map[string]any{"url": "x"})
	c.await("gone", executor.Rejected)
	c.desire("gone", nil)
	c.until("the refusal to go", func() bool { return c.told("gone") == nil })
}

func TestAMethodIsAnsweredAtOnceAndTwiceIsOnce(t *testing.T) {
	c := newCloud(t, &hub.Hub{})
	d := c.device("", "").start()
	file := filepath.Join(d.dir, "ran")
	for _, step := range []struct {
		method  string
		payload any
		want    int
	}{
		{"job", doc("one", file, "a"), 202},
		{"job", doc("one", file, "a"), 200},
		{"job", map[string]any{"job": string(text(t, doc("one", file, "a")))}, 200},
		{"job", doc("one", file, "b"), 409},
		{"job", map[string]any{"id": "bad", "steps": []any{}}, 400},
		{"job", "text", 400},
		{"job", map[string]any{"id": "others", "target": "false", "steps": []any{map[string]any{"name": "x", "command": map[string]any{"argv": []string{"true"}}}}}, 412},
		{"status", map[string]any{"id": "never"}, 404},
		{"status", nil, 200},
		{"cancel", map[string]any{"id": "early"}, 202},
		{"cancel", nil, 400},
		{"reboot", nil, 400},
		{"diagnose", map[string]any{"id": "look", "checks": []any{map[string]any{"name": "m", "memory": true}}}, 202},
		{"dance", nil, 404},
	} {
		if got, o := c.call(step.method, step.payload); got != step.want {
			t.Errorf("%s %s: got %d %+v, want %d", step.method, text(t, step.payload), got, o, step.want)
		}
	}
	c.await("one", executor.Succeeded)
	c.await("look", executor.Succeeded)
	if got, o := c.call("job", doc("early", file, "no")); got != 202 || o.State != executor.Cancelled {
		t.Errorf("got %d %+v, want it cancelled before it came", got, o)
	}
	if got, o := c.call("status", map[string]any{"id": "one"}); got != 200 || o.State != executor.Succeeded || o.Rev == 0 {
		t.Errorf("got %d %+v", got, o)
	}
	if got := read(t, file); got != "a" {
		t.Errorf("ran %q, want a", got)
	}
}

func TestTheSameIDByMethodAndTwinIsOneJob(t *testing.T) {
	c := newCloud(t, &hub.Hub{})
	d := c.device("", "").start()
	file := filepath.Join(d.dir, "ran")
	job := doc("same", file, "a")
	c.call("job", job)
	c.desireDoc("same", job)
	c.await("same", executor.Succeeded)
	c.desireDoc("next", doc("next", file, "b"))
	c.await("next", executor.Succeeded)
	if got := read(t, file); got != "a b" {
		t.Errorf("ran %q, want a b", got)
	}
}

func TestALostJournalIsReadBackFromTheTwin(t *testing.T) {
	c := newCloud(t, &hub.Hub{})
	d := c.device("", "")
	file := filepath.Join(d.dir, "ran")
	d.start()
	c.desireDoc("done", doc("done", file, "a"))
	c.await("done", executor.Succeeded)
	c.desireDoc("half", later("half"))
	c.await("half", executor.Waiting)
	d.stop()
	if err := os.Remove(filepath.Join(d.dir, "state", "ratchet.db")); err != nil {
		t.Fatal(err)
	}
	c.desireDoc("new", doc("new", file, "b"))
	d.start()
	c.await("new", executor.Succeeded)
	if got := c.await("half", executor.Failed); got["reason"] != "journal lost" {
		t.Errorf("got %v, want journal lost", got)
	}
	if got := read(t, file); got != "a b" {
		t.Errorf("ran %q, want a b", got)
	}
}

func TestAHubThatMisbehavesHearsTheTruthInTheEnd(t *testing.T) {
	t.Parallel()
	for seed := range uint64(4) {
		t.Run(fmt.Sprint(seed), func(t *testing.T) {
			c := newCloud(t, &hub.Hub{})
			c.SetFate(hub.Chaos{Seed: seed, Throttle: .1, Fail: .1, Lose: .15, Twice: .2, Cut: .03, Late: .5, Millis: 300}.Fate())
			d := c.device("", "").start()
			file := filepath.Join(d.dir, "ran")
			want := []string{}
			for i := range 5 {
				id := fmt.Sprint("j", i)
				c.desireDoc(id, doc(id, file, id+"a", id+"b"))
				want = append(want, id+"a", id+"b")
			}
			for i := range 5 {
				c.await(fmt.Sprint("j", i), executor.Succeeded)
			}
			got := strings.Fields(read(t, file))
			if len(got) != len(want) {
				t.Errorf("ran %q, want each of %q once", got, want)
			}
		})
	}
}

func TestFactsAndHealthAreTold(t *testing.T) {
	c := newCloud(t, &hub.Hub{})
	c.device("tags = {site = \"berlin\"}\ngroups = [\"routers.eu\"]\n[telemetry]\nevery = \"1s\"\npublish = \"1s\"", "").start()
	c.until("the facts", func() bool {
		n, err := c.Count("SELECT COUNT() AS n FROM devices WHERE properties.reported.facts.tags.site = 'berlin' AND properties.reported.facts.groups.routers_eu = true")
		return err == nil && n == 1
	})
	c.until("health", func() bool {
		for _, m := range c.Messages("gw-1") {
			if m.Properties["kind"] == "health" && m.Properties["$.ce"] == "utf-8" && json.Valid(m.Payload) {
				return true
			}
		}
		return false
	})
}

func TestWithKeysOnlySignedJobsRunButTheHubMayCancel(t *testing.T) {
	c := newCloud(t, &hub.Hub{})
	public, private, err := minisign.GenerateKey(rand.Reader)
	if err != nil {
		t.Fatal(err)
	}
	d := c.device(fmt.Sprintf("[policy]\nkeys = [%q]", public.String()), "").start()
	file := filepath.Join(d.dir, "ran")
	c.desireDoc("unsigned", doc("unsigned", file, "a"))
	if got := c.await("unsigned", executor.Rejected); !strings.Contains(fmt.Sprint(got["reason"]), "signature") {
		t.Errorf("got %v, want the signature to be missed", got)
	}
	for _, method := range []string{"job", "reboot", "diagnose"} {
		if got, o := c.call(method, doc("other", file, "a")); got != 400 || !strings.Contains(o.Reason, "signature") {
			t.Errorf("%s: got %d %+v, want it refused for the signature", method, got, o)
		}
	}
	job := endless("signed", file)
	job["expires"], job["audience"] = time.Now().Add(time.Hour).UTC().Format(time.RFC3339), []string{"device/gw-1"}
	document := text(t, job)
	c.desire("signed", map[string]any{"t": azure.Pieces(string(document)), "signature": string(minisign.Sign(private, document))})
	c.until("it to run", func() bool { return read(t, file) == "ran" })
	if got, o := c.call("cancel", map[string]any{"id": "signed"}); got != 202 {
		t.Errorf("got %d %+v, want it taken", got, o)
	}
	c.await("signed", executor.Cancelled)
}
