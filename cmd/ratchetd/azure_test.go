package main

import (
	"encoding/base64"
	"encoding/json"
	"errors"
	"fmt"
	"os"
	"os/exec"
	"path/filepath"
	"strings"
	"testing"
	"time"

	"github.com/ratchetd/ratchet/agent/dialect"
	"github.com/ratchetd/ratchet/agent/dialect/azure"
	"github.com/ratchetd/ratchet/executor"
	"github.com/ratchetd/ratchet/scripts/fakehub/hub"
)

// A hubSite is a device whose broker is a fake Azure hub.
type hubSite struct {
	*victim
	*hub.Hub
}

func newHubSite(t *testing.T, h *hub.Hub, link string) *hubSite {
	t.Helper()
	h.Host = "fake.azure-devices.net"
	if err := h.Start(); err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { h.Close() })
	h.AddDevice("gw-1", []byte("key"))
	s, err := newSite(t.TempDir(), embedded, "ratchetd")
	if err == nil {
		err = os.MkdirAll(filepath.Dir(s.config("gw-1")), 0o700)
	}
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() {
		if err := s.close(); err != nil {
			t.Error(err)
		}
	})
	v := &hubSite{&victim{site: s, t: t, cuts: map[string]int{}, cancelled: map[string]bool{}}, h}
	v.write("sas.key", base64.StdEncoding.EncodeToString([]byte("key")))
	v.write("gw-1.toml", fmt.Sprintf("device = \"gw-1\"\nstate = %q\n[link]\ndialect = \"azure\"\nbroker = \"tcp://%s\"\nhub = %q\nspread = \"0s\"\n%s\n",
		s.state("gw-1"), h.Address(), h.Host, link))
	return v
}

const withKey = `sasKeyFile = "sas.key"`

func (v *hubSite) write(name, text string) {
	v.t.Helper()
	if err := os.WriteFile(filepath.Join(filepath.Dir(v.config("gw-1")), name), []byte(text), 0o600); err != nil {
		v.t.Fatal(err)
	}
}

// patch puts a document into a patch of the twin.
func patch(id string, document []byte) []byte {
	text, err := json.Marshal(map[string]any{"jobs": map[string]any{id: map[string]any{"t": azure.Pieces(string(document))}}})
	if err != nil {
		panic(err) // of texts
	}
	return text
}

// told is the reported state of a job.
func (v *hubSite) told(id string) string {
	jobs, _ := v.Twin("gw-1").Reported["jobs"].(map[string]any)
	job, _ := jobs[id].(map[string]any)
	state, _ := job["state"].(string)
	return state
}

// ends waits until the twin has a final state and the whole outcome came too.
func (v *hubSite) ends(id string) dialect.JobStatus {
	v.t.Helper()
	var last dialect.JobStatus
	err := patiently(func() error {
		if !executor.State(v.told(id)).Final() {
			return fmt.Errorf("%s is %q", id, v.told(id))
		}
		for _, m := range v.Messages("gw-1") {
			if s, err := dialect.ParseStatus(m.Payload); err == nil && m.Properties["kind"] == "status" && s.Job == id {
				last = s
			}
		}
		if string(last.State) != v.told(id) {
			return fmt.Errorf("the twin says %q and the event %q", v.told(id), last.State)
		}
		return nil
	})
	if err != nil {
		log, _ := os.ReadFile(v.daemons["gw-1"].log)
		v.t.Fatalf("%v; dropped for %q\n%s", err, v.Drops(), log)
	}
	return last
}

// TestAHubHearsTheTruthWhereverTheDaemonIsKilled kills ratchetd at the commits of
// a job that came by a method or by the twin.
func TestAHubHearsTheTruthWhereverTheDaemonIsKilled(t *testing.T) {
	t.Parallel()
	points := []int{1, 2, 3, 6}
	if thorough() {
		points = []int{1, 2, 3, 4, 5, 6, 7, 8, 9, 10, 11, 12}
	}
	for _, carrier := range []string{"twin", "method"} {
		for _, at := range points {
			for _, side := range []string{"before", "after"} {
				point := fmt.Sprintf("%d-%s", at, side)
				t.Run(carrier+" "+point, func(t *testing.T) {
					t.Parallel()
					v := newHubSite(t, &hub.Hub{}, withKey)
					reached := v.killed(carrier, point, at%2 == 0)
					t.Logf("reached: %v", reached)
					if !reached && at <= 6 {
						t.Error("it was never killed: the hook does not work")
					}
				})
			}
		}
	}
}

// killed reports whether the point was reached.
func (v *hubSite) killed(carrier, point string, fails bool) bool {
	document := mixed("j", v.dir, fails)
	done := make(chan error, 1)
	if carrier == "twin" {
		done <- v.Desire("gw-1", patch("j", document))
	} else {
		go func() { done <- v.insist(document) }()
	}
	d := v.run(dieAt + "=" + point)
	err := patiently(func() error {
		select {
		case <-d.done:
			return nil
		default:
		}
		if !executor.State(v.told("j")).Final() {
			return errors.New("it neither died nor came to an end")
		}
		return nil
	})
	if err != nil {
		v.t.Fatal(err)
	}
	select {
	case <-d.done:
		v.cuts["j"] = 1
		v.run()
	default: // it has fewer commits
	}
	if err := <-done; err != nil {
		v.t.Fatal(err)
	}
	v.holds(v.ends("j"), fails)
	return v.cuts["j"] > 0
}

// insist calls the method until it is answered.
func (v *hubSite) insist(document []byte) error {
	return patiently(func() error {
		status, _, err := v.Invoke("gw-1", "job", document, 5*time.Second)
		if err == nil && status/100 != 2 {
			err = fmt.Errorf("the device answers %d", status)
		}
		return err
	})
}

// steps is a job of commands that take their time and leave a line each.
func steps(id, dir string, n int) []byte {
	var list []map[string]any
	for i := range n {
		list = append(list, map[string]any{"name": fmt.Sprint("s", i), "command": map[string]any{
			"shell": fmt.Sprintf("echo begun >>%s/%s.%d; sleep 1.5; echo done >>%s/%s.%d", dir, id, i, dir, id, i)}})
	}
	text, err := json.Marshal(map[string]any{"id": id, "steps": list})
	if err != nil {
		panic(err) // of texts
	}
	return text
}

// TestAHubJobAndATwinJobLastThroughRenewalsAndCuts has the hub's own jobs start
// both, with tokens that live shorter than either.
func TestAHubJobAndATwinJobLastThroughRenewalsAndCuts(t *testing.T) {
	t.Parallel()
	v := newHubSite(t, &hub.Hub{}, withKey+"\ntokenLife = \"5s\"")
	v.run()
	for _, j := range []hub.Job{
		{ID: "by-method", Type: "scheduleDeviceMethod", Method: &hub.Method{Name: "job", Payload: steps("by-method", v.dir, 4), Timeout: 5}},
		{ID: "by-twin", Type: "scheduleUpdateTwin", Update: fmt.Appendf(nil, `{"properties":{"desired":%s}}`, patch("by-twin", steps("by-twin", v.dir, 4)))},
	} {
		if err := v.Schedule(j); err != nil {
			t.Fatal(err)
		}
		before := v.Connects("gw-1")
		cut := filepath.Join(v.dir, j.ID+".1")
		err := patiently(func() error {
			_, err := os.Stat(cut)
			return err
		})
		if err != nil {
			t.Fatal(err)
		}
		v.daemons["gw-1"].kill()
		v.run()
		s := v.ends(j.ID)
		n := v.Connects("gw-1") - before
		t.Logf("%s: %s, %d connections, dropped for %q", j.ID, s.State, n, v.Drops())
		for i, p := range s.Steps {
			lines := begun(v.dir, j.ID, fmt.Sprint(i))
			t.Logf("  %s: %s, attempts %d, interrupted %d, lines %d", p.Name, p.State, p.Attempts, p.Interrupted, lines)
			if p.Attempts != p.Interrupted+1 || lines != p.Attempts+1 {
				t.Errorf("%s was begun %d times and left %d lines, want one more than it was cut", p.Name, p.Attempts, lines)
			}
		}
		if s.State != executor.Succeeded || s.Steps[1].Interrupted != 1 || n < 2 {
			t.Errorf("%s: %s, %d connections, want it to succeed after one cut and a renewal", j.ID, s.State, n)
		}
		count, err := v.Count("SELECT COUNT() AS n FROM devices WHERE properties.reported.jobs." + j.ID + ".state = 'succeeded'")
		if err != nil || count != 1 {
			t.Errorf("the query counts %d, %v, want 1", count, err)
		}
	}
}

// TestCheckNamesTheRightThatAHubDoesNotGrant is what an owner sees.
func TestCheckNamesTheRightThatAHubDoesNotGrant(t *testing.T) {
	t.Parallel()
	for _, c := range []struct {
		name  string
		basic bool
		spoil func(*hubSite)
		want  []string
	}{
		{"nothing", false, func(*hubSite) {}, []string{"every subscription was granted", "the service answers: it has 0 jobs"}},
		{"a tier without twins", true, func(*hubSite) {}, []string{"denied: reading $iothub/methods/POST/#", "basic tier"}},
		{"the key is another", false, func(v *hubSite) { v.write("sas.key", base64.StdEncoding.EncodeToString([]byte("other"))) },
			[]string{"the hub refuses this device", "link.sasKeyFile", "is this clock right"}},
		{"the device is disabled", false, func(v *hubSite) { v.Disable("gw-1", true) }, []string{"registered there and enabled"}},
		{"the key is no key", false, func(v *hubSite) { v.write("sas.key", "%") }, []string{"link.sasKeyFile: want the device's key in base64"}},
	} {
		t.Run(c.name, func(t *testing.T) {
			t.Parallel()
			v := newHubSite(t, &hub.Hub{Basic: c.basic}, withKey)
			c.spoil(v)
			cmd := exec.Command("ratchetd", "check", "--connect", "--config", v.config("gw-1"))
			out, err := cmd.CombinedOutput()
			t.Logf("%s", out[max(0, strings.LastIndex(string(out), "[facts]\n")):])
			for _, want := range c.want {
				if !strings.Contains(string(out), want) {
					t.Errorf("got %q, want %q in it", out, want)
				}
			}
			if (err == nil) != (c.name == "nothing") {
				t.Errorf("got %v", err)
			}
		})
	}
}
