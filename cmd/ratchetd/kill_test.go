package main

import (
	"encoding/json"
	"fmt"
	"math/rand/v2"
	"os"
	"path/filepath"
	"strings"
	"sync/atomic"
	"testing"
	"time"

	"github.com/ratchetd/ratchet/agent/dialect"
	"github.com/ratchetd/ratchet/executor"
)

// mixed is a job with every way of being interrupted: each step leaves a line
// in a file of its own whenever it is begun. Its last step fails when the job
// is to be undone.
func mixed(id, dir string, fails bool) []byte {
	shell := func(name, more string) map[string]any {
		return map[string]any{"shell": fmt.Sprintf("echo $RATCHET_ATTEMPT >> %s/%s.%s; %s", dir, id, name, more)}
	}
	last := "true"
	if fails {
		last = "exit 1"
	}
	doc := map[string]any{"id": id, "undoOnFailure": true, "steps": []map[string]any{
		{"name": "again", "command": shell("again", "sleep 0.05")},
		{"name": "once", "ifInterrupted": "fail", "command": shell("once", "sleep 0.05")},
		{"name": "write", "file": map[string]any{"path": filepath.Join(dir, id+".file"), "content": "new\n"}},
		{"name": "look", "ifInterrupted": "verify", "check": map[string]any{"file": filepath.Join(dir, id+".looked")},
			"command": shell("look", fmt.Sprintf("sleep 0.05; touch %s/%s.looked", dir, id))},
		{"name": "last", "command": shell("last", last)},
	}, "onFailure": []map[string]any{{"name": "after", "command": shell("after", "true")}}}
	text, err := json.Marshal(doc)
	if err != nil {
		panic(err) // maps of texts and numbers
	}
	return text
}

// begun counts how often a step of a mixed job was begun.
func begun(dir, id, step string) int {
	text, _ := os.ReadFile(filepath.Join(dir, id+"."+step)) // none: never
	return strings.Count(string(text), "\n")
}

// A victim is a device that is killed while it does mixed jobs.
type victim struct {
	*site
	t *testing.T

	cuts      map[string]int  // by job: how often it was killed before the job was final
	cancelled map[string]bool // by job
}

func newVictim(t *testing.T, kind brokerKind) *victim {
	s, err := newSite(t.TempDir(), kind, "ratchetd")
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() {
		if err := s.close(); err != nil {
			t.Error(err)
		}
	})
	if err := s.start(); err != nil {
		t.Fatal(err)
	}
	return &victim{site: s, t: t, cuts: map[string]int{}, cancelled: map[string]bool{}}
}

func (v *victim) run(env ...string) *daemon {
	v.t.Helper()
	d, err := v.launch("gw-1", append(env, "TMPDIR="+v.dir)...)
	if err != nil {
		v.t.Fatal(err)
	}
	return d
}

// offer puts a mixed job at its topic.
func (v *victim) offer(id string, fails bool) {
	v.t.Helper()
	if err := v.watcher.send("jobs/device/gw-1/"+id, mixed(id, v.dir, fails)); err != nil {
		v.t.Fatal(err)
	}
}

// final waits for the job's end, as the broker keeps it.
func (v *victim) final(id string) dialect.JobStatus {
	v.t.Helper()
	if err := v.watcher.sees("device/gw-1/jobs/"+id, `(.state | IN("succeeded", "failed", "cancelled")) or (.reason | contains("`+twice+`"))`); err != nil {
		log, _ := os.ReadFile(v.daemons["gw-1"].log)
		v.t.Fatalf("%v\n%s", err, log)
	}
	v.watcher.mu.Lock()
	defer v.watcher.mu.Unlock()
	s, err := dialect.ParseStatus(v.watcher.last["device/gw-1/jobs/"+id])
	if err != nil {
		v.t.Fatal(err)
	}
	return s
}

// keeps checks the promises against a job that is final.
func (v *victim) keeps(id string, fails bool) {
	v.t.Helper()
	v.holds(v.final(id), fails)
	if err := v.watcher.oneEnd(); err != nil {
		v.t.Error(err)
	}
}

// twice is the reason of a refusal that two kills may bring about, if both meet
// the moment in which the offer is judged. Such a job never begins.
const twice = "the agent crashed twice while it judged this document"

// holds does so by the status that the job ended with.
func (v *victim) holds(s dialect.JobStatus, fails bool) {
	v.t.Helper()
	id := s.Job
	cuts := v.cuts[id]
	if n := begun(v.dir, id, "once"); n > 1 {
		v.t.Errorf("%s: the step that runs at most once was begun %d times", id, n)
	}
	for _, p := range s.Steps {
		v.keepsStep(id, p, cuts)
	}
	if s.State == executor.Succeeded && fails ||
		s.State == executor.Cancelled && !v.cancelled[id] ||
		s.State == executor.Failed && !fails && cuts == 0 {
		v.t.Errorf("%s, cut %d times, is %s: %s", id, cuts, s.State, s.Reason)
	}
	_, err := os.Stat(filepath.Join(v.dir, id+".file"))
	if left := err == nil; left != (s.State == executor.Succeeded) {
		v.t.Errorf("%s is %s, and that its file is there is %v", id, s.State, left)
	}
}

// keepsStep allows a step one start beyond its first for each cut that the
// status tells, and none for one that was done.
func (v *victim) keepsStep(id string, p dialect.StepStatus, cuts int) {
	v.t.Helper()
	n := begun(v.dir, id, p.Name)
	switch {
	case p.Interrupted > cuts:
		v.t.Errorf("%s: %s was interrupted %d times by %d cuts", id, p.Name, p.Interrupted, cuts)
	case p.Attempts > p.Interrupted+1:
		v.t.Errorf("%s: %s was begun %d times, and cut %d times", id, p.Name, p.Attempts, p.Interrupted)
	case n > p.Attempts:
		v.t.Errorf("%s: %s acted %d times in %d attempts", id, p.Name, n, p.Attempts)
	case p.State == executor.Succeeded && n == 0 && p.Name != "write":
		v.t.Errorf("%s: %s is done, and never acted", id, p.Name)
	}
}

// TestKillAtEveryPoint kills ratchetd before and after every commit of its
// journal, from the read-back of a new one to the end of a job, and starts it
// again.
func TestKillAtEveryPoint(t *testing.T) {
	t.Parallel()
	for _, fails := range []bool{false, true} {
		t.Run(map[bool]string{false: "succeeds", true: "fails"}[fails], func(t *testing.T) {
			t.Parallel()
			n, all := 0, true
			for all {
				all = killAround(t, n, fails)
				n += together
			}
			if n <= together {
				t.Errorf("only %d commits in a job of 5 steps: the hook does not work", n)
			}
		})
	}
}

// together is how many points are tried at the same time.
const together = 6

// killAround tries the points behind the n-th commit and reports whether all of
// them were reached.
func killAround(t *testing.T, n int, fails bool) bool {
	var reached atomic.Int32
	t.Run(fmt.Sprintf("behind %d", n), func(t *testing.T) {
		for at := n + 1; at <= n+together; at++ {
			for _, side := range []string{"before", "after"} {
				point := fmt.Sprintf("%d-%s", at, side)
				t.Run(point, func(t *testing.T) {
					t.Parallel()
					if killAt(t, point, fails) {
						reached.Add(1)
					}
				})
			}
		}
	})
	return reached.Load() == 2*together
}

// killAt reports whether the point was reached.
func killAt(t *testing.T, point string, fails bool) bool {
	v := newVictim(t, embedded)
	v.offer("j", fails)
	d := v.run(dieAt + "=" + point)
	ended := make(chan error, 1)
	go func() { ended <- v.watcher.sees("device/gw-1/jobs/j", `.state | IN("succeeded", "failed")`) }()
	select {
	case <-d.done:
		v.cuts["j"] = 1
		v.run()
	case err := <-ended:
		if err != nil {
			t.Fatal(err)
		}
	}
	v.keeps("j", fails)
	return v.cuts["j"] > 0
}

// TestKillAtRandomMoments kills ratchetd again and again while jobs come and are
// done, cancelled and undone, and checks the promises against what is left.
func TestKillAtRandomMoments(t *testing.T) {
	t.Parallel()
	if testing.Short() {
		killAtRandom(t, embedded, 20)
	} else {
		killAtRandom(t, embedded, 200)
	}
}

// TestE2EKillAtRandomMomentsWithMosquitto is the same with another broker.
func TestE2EKillAtRandomMomentsWithMosquitto(t *testing.T) {
	needMosquitto(t)
	t.Parallel()
	killAtRandom(t, mosquitto, 200)
}

// killAtRandom spreads so many moments over devices that run at the same time.
func killAtRandom(t *testing.T, kind brokerKind, moments int) {
	const devices = 10
	seed := rand.Uint64()
	t.Logf("seed %d", seed)
	for i := range devices {
		t.Run(fmt.Sprintf("device %d", i), func(t *testing.T) {
			t.Parallel()
			v := newVictim(t, kind)
			v.killed(rand.New(rand.NewPCG(seed, uint64(i))), moments/devices)
		})
	}
}

// killed gives the device one job after another and kills it so often; then it
// lets all of them come to their end.
func (v *victim) killed(random *rand.Rand, moments int) {
	jobs := map[string]bool{} // by id: whether it fails
	for moments > 0 {
		id := fmt.Sprintf("j%d", len(jobs))
		jobs[id] = random.IntN(2) == 0
		v.offer(id, jobs[id])
		d := v.run()
		if random.IntN(2) == 0 { // else the moment lies before anything begins
			v.await(id, "again")
		}
		for range min(moments, 1+random.IntN(4)) {
			time.Sleep(time.Duration(random.IntN(300)) * time.Millisecond)
			d.kill()
			v.cuts[id]++
			moments--
			if begun(v.dir, id, "again") > 0 && random.IntN(8) == 0 { // of a job that it does not know, nothing would be told
				v.cancel(id)
			}
			d = v.run()
		}
		v.final(id)
		d.kill()
	}
	v.run()
	for id, fails := range jobs {
		v.keeps(id, fails)
	}
}

// await waits until a step has been begun.
func (v *victim) await(id, step string) {
	v.t.Helper()
	err := patiently(func() error {
		if begun(v.dir, id, step) == 0 {
			return fmt.Errorf("%s: %s does not begin", id, step)
		}
		return nil
	})
	if err != nil {
		v.t.Fatal(err)
	}
}

func (v *victim) cancel(id string) {
	v.t.Helper()
	v.cancelled[id] = true
	if err := v.watcher.send("jobs/device/gw-1/"+id, fmt.Appendf(nil, `{"id":%q,"cancel":true}`, id)); err != nil {
		v.t.Fatal(err)
	}
}
