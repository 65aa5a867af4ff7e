package main

import (
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"math/rand/v2"
	"os"
	"os/exec"
	"path/filepath"
	"strings"
	"sync"
	"testing"
	"time"

	"github.com/ratchetd/ratchet/agent/dialect"
	"github.com/ratchetd/ratchet/agent/local"
	"github.com/ratchetd/ratchet/executor"
	"github.com/ratchetd/ratchet/scripts/fakeaws/jobs"
)

// An awsSite is a device that is a thing of the fake AWS IoT.
type awsSite struct {
	*victim
	*jobs.Service
}

func newAWSSite(t *testing.T, more string) *awsSite {
	t.Helper()
	service := &jobs.Service{}
	if err := service.Start(); err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { service.Close() })
	s, err := newSite(t.TempDir(), embedded, "ratchetd")
	if err == nil {
		err = os.MkdirAll(filepath.Dir(s.config("gw-1")), 0o700)
	}
	if err == nil {
		err = os.WriteFile(s.config("gw-1"), fmt.Appendf(nil, "device = \"gw-1\"\nstate = %q\n%s\n[link]\ndialect = \"aws\"\nbroker = \"tcp://%s\"\nspread = \"0s\"\n",
			s.state("gw-1"), more, service.Address()), 0o600)
	}
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() {
		if err := s.close(); err != nil {
			t.Error(err)
		}
	})
	return &awsSite{&victim{site: s, t: t, cuts: map[string]int{}, cancelled: map[string]bool{}}, service}
}

func (v *awsSite) create(id string, document []byte) {
	v.t.Helper()
	if err := v.Create(jobs.Job{ID: id, Targets: []string{"gw-1"}, Document: string(document)}); err != nil {
		v.t.Fatal(err)
	}
}

// over reports whether the service holds the job for over.
func (v *awsSite) over(id string) bool {
	e := v.Execution("gw-1", id)
	return e.Status != "QUEUED" && e.Status != "IN_PROGRESS"
}

// here is the job as the device knows it.
func (v *awsSite) here(id string) dialect.JobStatus {
	v.t.Helper()
	var s dialect.JobStatus
	err := patiently(func() error {
		return local.Call(context.Background(), local.Path(v.state("gw-1")), local.Request{Do: "job", ID: id},
			func(raw json.RawMessage) error { return json.Unmarshal(raw, &s) })
	})
	if err != nil {
		v.t.Fatal(err)
	}
	return s
}

// agree waits for the end and holds that both tell the same of it, once.
func (v *awsSite) agree(id string, fails bool) {
	v.t.Helper()
	err := patiently(func() error {
		if !v.over(id) {
			return fmt.Errorf("%s is %s", id, v.Execution("gw-1", id).Status)
		}
		return nil
	})
	if err != nil {
		log, _ := os.ReadFile(v.daemons["gw-1"].log)
		v.t.Fatalf("%v; dropped for %q\n%s", err, v.Drops(), log)
	}
	e, s := v.Execution("gw-1", id), v.here(id)
	want := map[executor.State]string{executor.Succeeded: "SUCCEEDED", executor.Failed: "FAILED", executor.Cancelled: "FAILED"}[s.State]
	if got := strings.Join(e.History, " "); got != "QUEUED IN_PROGRESS "+want {
		v.t.Errorf("got %s at the service, want its last %s: the device says %s (%s)", got, want, s.State, s.Reason)
	}
	v.holds(s, fails)
}

// TestAWSHearsTheTruthWhereverTheDaemonIsKilled kills ratchetd at its commits
// while the service goes on.
func TestAWSHearsTheTruthWhereverTheDaemonIsKilled(t *testing.T) {
	killedAtCommits(t, 1, 2, 5, 8)
}

// TestE2EAWSHearsTheTruthAtEveryCommit is the same at all of them.
func TestE2EAWSHearsTheTruthAtEveryCommit(t *testing.T) {
	if !thorough() {
		t.Skip("RATCHET_E2E=1 runs it, or make e2e")
	}
	killedAtCommits(t, 1, 2, 3, 4, 5, 6, 7, 8, 9, 10, 11, 12)
}

func killedAtCommits(t *testing.T, points ...int) {
	t.Parallel()
	for _, at := range points {
		for _, side := range []string{"before", "after"} {
			point := fmt.Sprintf("%d-%s", at, side)
			t.Run(point, func(t *testing.T) {
				t.Parallel()
				v := newAWSSite(t, "")
				v.create("j", mixed("j", v.dir, at%2 == 0))
				if !v.killed(point) && at <= 6 {
					t.Error("it was never killed: the hook does not work")
				}
				v.agree("j", at%2 == 0)
			})
		}
	}
}

// killed runs the device, and once more if it died at the point.
func (v *awsSite) killed(point string) bool {
	d := v.run(dieAt + "=" + point)
	err := patiently(func() error {
		select {
		case <-d.done:
			return nil
		default:
		}
		if !v.over("j") {
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
		return true
	case <-time.After(100 * time.Millisecond): // it has fewer commits
		return false
	}
}

// TestE2EAWSHearsTheTruthThroughKillsAndCuts has both at random moments, and
// messages that are late, lost or come twice.
func TestE2EAWSHearsTheTruthThroughKillsAndCuts(t *testing.T) {
	if !thorough() {
		t.Skip("RATCHET_E2E=1 runs it, or make e2e")
	}
	t.Parallel()
	for seed := range uint64(12) {
		t.Run(fmt.Sprint(seed), func(t *testing.T) {
			t.Parallel()
			v, dice := newAWSSite(t, ""), rand.New(rand.NewPCG(seed, 2))
			var mu sync.Mutex
			cuts := 0
			v.SetFate(func(string) jobs.Fate {
				mu.Lock()
				defer mu.Unlock()
				f := jobs.Fate{Twice: dice.IntN(4) == 0, Delay: time.Duration(dice.IntN(400)) * time.Millisecond, Lost: dice.IntN(10) == 0}
				if dice.IntN(8) == 0 && cuts < 3 {
					cuts++
					f.Cut = true
				}
				return f
			})
			v.create("a", mixed("a", v.dir, false))
			v.create("b", mixed("b", v.dir, true))
			v.run()
			for range 3 {
				mu.Lock()
				pause := time.Duration(1500+dice.IntN(2000)) * time.Millisecond
				mu.Unlock()
				time.Sleep(pause)
				for _, id := range []string{"a", "b"} {
					if !v.over(id) {
						v.cuts[id]++
					}
				}
				v.daemons["gw-1"].kill()
				v.run()
			}
			v.agree("a", false)
			v.agree("b", true)
		})
	}
}

// TestTheManagedTemplateAWSRebootRebootsOnce runs it with no script, through a
// reboot of a real process.
func TestTheManagedTemplateAWSRebootRebootsOnce(t *testing.T) {
	t.Parallel()
	if !canFakeBoot() {
		t.Skip("this system does not let us fake a boot id")
	}
	const template = `{"version":"1.0","steps":[{"action":{"name":"Reboot","type":"runHandler","input":{"handler":"reboot.sh","path":""},"runAsUser":""}}]}`
	v := newAWSSite(t, "")
	asked := filepath.Join(v.dir, "asked")
	text, err := os.ReadFile(v.config("gw-1"))
	if err == nil {
		err = os.WriteFile(v.config("gw-1"), append(text, fmt.Sprintf("[policy]\nreboot = [\"sh\", \"-c\", \"echo >>%s; sleep 60\"]\n", asked)...), 0o600)
	}
	if err != nil {
		t.Fatal(err)
	}
	v.boot = "first"
	d := v.run()
	v.create("reboot", []byte(template))
	if err := patiently(func() error { _, err := os.Stat(asked); return err }); err != nil {
		t.Fatal(err)
	}
	t.Logf("before: the service has %s, the device %s", v.Execution("gw-1", "reboot").Status, v.here("reboot").State)
	d.kill()
	v.boot = "second"
	v.run()
	if err := patiently(func() error {
		if !v.over("reboot") {
			return errors.New("it does not end")
		}
		return nil
	}); err != nil {
		t.Fatal(err)
	}
	e, s := v.Execution("gw-1", "reboot"), v.here("reboot")
	lines, _ := os.ReadFile(asked)
	t.Logf("after: %s; the device: %s, attempts %d, interrupted %d, reboots %d", strings.Join(e.History, " "), s.State, s.Steps[0].Attempts, s.Steps[0].Interrupted, strings.Count(string(lines), "\n"))
	if e.Status != "SUCCEEDED" || strings.Count(string(lines), "\n") != 1 || s.Steps[0].Interrupted != 0 {
		t.Errorf("got %s after %d reboots, %d interruptions, want SUCCEEDED after one", e.Status, strings.Count(string(lines), "\n"), s.Steps[0].Interrupted)
	}
}

// TestCheckNamesTheRightThatAWSDoesNotGrant is what an owner sees.
func TestCheckNamesTheRightThatAWSDoesNotGrant(t *testing.T) {
	t.Parallel()
	for name, c := range map[string]struct {
		deny string
		want []string
	}{
		"nothing":            {"none", []string{"every subscription was granted", "the service answers: it has 0 jobs"}},
		"notify-next":        {"jobs/notify-next", []string{"denied: reading $aws/things/gw-1/jobs/notify-next (iot:Subscribe on topicfilter/$aws/things/gw-1/jobs/notify-next)"}},
		"asking for the job": {"jobs/$next/get", []string{"denied: writing $aws/things/gw-1/jobs/$next/get (iot:Publish on topic/$aws/things/gw-1/jobs/$next/get)"}},
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			v := newAWSSite(t, "")
			v.Deny = func(topic string, _ bool) bool { return topic == "$aws/things/gw-1/"+c.deny }
			out, err := exec.Command("ratchetd", "check", "--connect", "--config", v.config("gw-1")).CombinedOutput()
			t.Logf("%s", out[max(0, strings.LastIndex(string(out), "\nconnected to ")):])
			for _, want := range c.want {
				if !strings.Contains(string(out), want) {
					t.Errorf("got %q, want %q in it", out, want)
				}
			}
			if (err == nil) != (name == "nothing") {
				t.Errorf("got %v", err)
			}
		})
	}
}
