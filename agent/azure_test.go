package agent

import (
	"crypto/rand"
	"encoding/base64"
	"encoding/json"
	"fmt"
	"net/http"
	"net/http/httptest"
	"os"
	"path/filepath"
	"strings"
	"sync/atomic"
	"testing"
	"time"

	"aead.dev/minisign"

	"github.com/ratchetd/ratchet/agent/dialect/azure"
	"github.com/ratchetd/ratchet/executor"
	"github.com/ratchetd/ratchet/scripts/fakehub/hub"
)

// A cloud is a fake hub with gw-1 in it.
type cloud struct {
	*hub.Hub
	t *testing.T
}

func newCloud(t *testing.T, h *hub.Hub) *cloud {
	t.Helper()
	t.Parallel()
	h.Host = "fake.azure-devices.net"
	if err := h.Start(); err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { h.Close() })
	h.AddDevice("gw-1", []byte("key"))
	return &cloud{h, t}
}

// device makes gw-1 with a key; it does not run yet. link is added to [link].
func (c *cloud) device(extra, link string) *device {
	c.t.Helper()
	d := &device{t: c.t, dir: c.t.TempDir()}
	d.write("sas.key", base64.StdEncoding.EncodeToString([]byte("key")))
	d.write("ratchet.toml", fmt.Sprintf("device = \"gw-1\"\nstate = %q\n%s\n[link]\ndialect = \"azure\"\nbroker = \"tcp://%s\"\nhub = \"fake.azure-devices.net\"\nsasKeyFile = \"sas.key\"\nspread = \"0s\"\n%s\n",
		filepath.Join(d.dir, "state"), extra, c.Address(), link))
	return d
}

// desire puts a job into the twin.
func (c *cloud) desire(id string, job any) {
	c.t.Helper()
	patch, err := json.Marshal(map[string]any{"jobs": map[string]any{id: job}})
	if err == nil {
		err = c.Desire("gw-1", patch)
	}
	if err != nil {
		c.t.Fatal(err)
	}
}

func (c *cloud) desireDoc(id string, document any) {
	c.t.Helper()
	c.desire(id, map[string]any{"t": azure.Pieces(string(text(c.t, document)))})
}

func text(t *testing.T, v any) []byte {
	t.Helper()
	raw, err := json.Marshal(v)
	if err != nil {
		t.Fatal(err)
	}
	return raw
}

// told is the job in the reported properties; nil if it is not there.
func (c *cloud) told(id string) map[string]any {
	jobs, _ := c.Twin("gw-1").Reported["jobs"].(map[string]any)
	job, _ := jobs[id].(map[string]any)
	return job
}

// await waits until the job's reported state is this.
func (c *cloud) await(id string, want executor.State) map[string]any {
	c.t.Helper()
	c.until("job "+id+" to be "+string(want), func() bool { return c.told(id)["state"] == string(want) })
	return c.told(id)
}

func (c *cloud) until(what string, ok func() bool) {
	c.t.Helper()
	for end := time.Now().Add(patience); !ok(); time.Sleep(10 * time.Millisecond) {
		if time.Now().After(end) {
			c.t.Fatalf("waited for %s; told is %v, dropped for %q", what, c.Twin("gw-1").Reported["jobs"], c.Drops())
		}
	}
}

// call calls a method once the device can be reached.
func (c *cloud) call(method string, payload any) (int, outcome) {
	c.t.Helper()
	raw := text(c.t, payload)
	for end := time.Now().Add(patience); ; time.Sleep(20 * time.Millisecond) {
		status, body, err := c.Invoke("gw-1", method, raw, patience)
		if err == nil && status != http.StatusServiceUnavailable {
			var o outcome
			_ = json.Unmarshal(body, &o) // a status is no outcome
			return status, o
		}
		if time.Now().After(end) {
			c.t.Fatalf("calling %s: %v", method, err)
		}
	}
}

func (c *cloud) count(state executor.State, id string) int {
	c.t.Helper()
	n, err := c.Count(fmt.Sprintf("SELECT COUNT() AS n FROM devices WHERE properties.reported.jobs.%s.state = '%s'", id, state))
	if err != nil {
		c.t.Fatal(err)
	}
	return n
}

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

// A halted clock shows what it is set to, and counts who looks at it.
type halted struct {
	at    atomic.Int64
	looks atomic.Int64
}

func (h *halted) set(at time.Time) { h.at.Store(at.UnixNano()) }

func (h *halted) now() time.Time {
	h.looks.Add(1)
	return time.Unix(0, h.at.Load())
}

func TestATokenIsRenewedBeforeItExpires(t *testing.T) {
	var clock halted
	clock.set(time.Now())
	c := newCloud(t, &hub.Hub{Now: clock.now})
	const life = 20 * time.Second // it is renewed after 16 s
	d := c.device("", fmt.Sprintf("tokenLife = %q", life))
	file := filepath.Join(d.dir, "ran")
	c.desireDoc("long", script("long", "while ! test -e "+file+".go; do sleep 0.05; done; echo ran >>"+file))
	d.start()
	c.until("a connection", func() bool { return c.Connects("gw-1") >= 1 })
	first := time.Now().Add(life) // by then its token has expired, and that of the next one has not
	c.until("another connection", func() bool { return c.Connects("gw-1") >= 2 })
	clock.set(first)
	looked := clock.looks.Load()
	c.until("the hub to look at its clock", func() bool { return clock.looks.Load() > looked+5 })
	d.write("ran.go", "")
	c.await("long", executor.Succeeded)
	if drops := c.Drops(); len(drops) > 0 {
		t.Errorf("was dropped for %q, want never", drops)
	}
	if got := read(t, file); got != "ran" {
		t.Errorf("ran %q, want once", got)
	}
}

func TestADocumentThatLiesElsewhereIsFetchedIfTheOwnerAllows(t *testing.T) {
	c := newCloud(t, &hub.Hub{})
	d := c.device("", "[policy]\nurls = [\"127.0.0.1\"]")
	file := filepath.Join(d.dir, "ran")
	document := text(t, doc("far", file, "a"))
	tries := 0
	s := httptest.NewServer(http.HandlerFunc(func(w http.ResponseWriter, _ *http.Request) {
		if tries++; tries == 1 {
			http.Error(w, "not yet", http.StatusBadGateway)
			return
		}
		_, _ = w.Write(document)
	}))
	t.Cleanup(s.Close)
	sum := executor.Digest(document)
	c.desire("far", map[string]any{"url": s.URL, "sha256": sum})
	c.desire("denied", map[string]any{"url": "http://localhost/x", "sha256": sum})
	c.desire("other", map[string]any{"url": s.URL, "sha256": strings.Repeat("0", 64)})
	d.start()
	c.await("far", executor.Succeeded)
	for id, want := range map[string]string{"denied": "policy.urls", "other": "sha256"} {
		if got := c.await(id, executor.Rejected); !strings.Contains(fmt.Sprint(got["reason"]), want) {
			t.Errorf("%s: got %v, want %s", id, got, want)
		}
	}
	if got := read(t, file); got != "a" {
		t.Errorf("ran %q, want a", got)
	}
}

func TestAnAddressThatIsMendedIsFetchedAtOnce(t *testing.T) {
	c := newCloud(t, &hub.Hub{})
	d := c.device("", "[policy]\nurls = [\"127.0.0.1\"]")
	file := filepath.Join(d.dir, "ran")
	document := text(t, doc("far", file, "a"))
	missing := make(chan bool, 16)
	s := httptest.NewServer(http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		if r.URL.Path != "/right" {
			missing <- true
			http.NotFound(w, r)
			return
		}
		_, _ = w.Write(document)
	}))
	t.Cleanup(s.Close)
	c.desire("far", map[string]any{"url": s.URL + "/wrong", "sha256": executor.Digest(document)})
	c.desire("denied", map[string]any{"url": "http://localhost/right", "sha256": executor.Digest(document)})
	d.start()
	<-missing
	c.await("denied", executor.Rejected)
	c.desire("far", map[string]any{"url": s.URL + "/right"})
	c.await("far", executor.Succeeded)
	if got := read(t, file); got != "a" {
		t.Errorf("ran %q, want a", got)
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
