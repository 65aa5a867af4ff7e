package main

import (
	"fmt"
	"os"
	"os/exec"
	"path/filepath"
	"strings"
	"sync"
	"syscall"
	"testing"
	"time"

	"github.com/ratchetd/ratchet/agent/dialect"
	"github.com/ratchetd/ratchet/executor"
)

// An updated is a device whose agent 1.0 is told to become 2.0, is killed on
// the way, and is started again by its service manager as often as it ends.
type updated struct {
	*victim
	next release
}

func newUpdated(t *testing.T, behaves string) *updated {
	u := &updated{newVictim(t, embedded), release{"2.0", behaves}}
	if err := u.install(release{"1.0", ""}); err != nil {
		t.Fatal(err)
	}
	if err := u.publish(u.next); err != nil {
		t.Fatal(err)
	}
	within := map[string]string{isDeaf: "2s"}[behaves]
	if within == "" {
		within = "1m"
	}
	doc := fmt.Sprintf(`{"id": "j", "steps": [
		{"name": "before", "command": {"shell": "echo ran >> ${WORK}/j.before"}},
		{"name": "update", "confirm": {"within": %q}, "update": {"url": "${HTTP}/r", "sha256": "${SHA}", "version": "2.0"}},
		{"name": "after", "command": {"shell": "echo ran >> ${WORK}/j.after"}}]}`, within)
	if err := u.watcher.send("jobs/device/gw-1/j", u.fill([]byte(doc))); err != nil {
		t.Fatal(err)
	}
	return u
}

// live keeps the agent running until the job is final, and tells how often it
// was killed. env is what its first start sees.
func (u *updated) live(env ...string) (killed int) {
	u.t.Helper()
	ended := make(chan struct{})
	go func() {
		defer close(ended)
		_ = u.watcher.sees("device/gw-1/jobs/j", `.state | IN("succeeded", "failed", "cancelled")`) // final tells
	}()
	for d := u.run(env...); ; d = u.run() {
		select {
		case <-ended:
			return killed
		case <-d.done:
			if status, ok := d.cmd.ProcessState.Sys().(syscall.WaitStatus); ok && status.Signaled() {
				killed++
			}
			time.Sleep(50 * time.Millisecond)
		}
	}
}

// holds asserts how it ended: on which agent, with what told, and nothing left.
func (u *updated) holds(killed int) dialect.JobStatus {
	u.t.Helper()
	s := u.final("j")
	state, version := executor.Succeeded, "2.0"
	if u.next.behaves != "" {
		state, version = executor.Failed, "1.0"
	}
	if s.State != state {
		u.t.Errorf("killed %d times it is %s: %s, want %s", killed, s.State, s.Reason, state)
	}
	for _, p := range s.Steps {
		if p.Interrupted > killed {
			u.t.Errorf("%s was interrupted %d times by %d kills", p.Name, p.Interrupted, killed)
		}
	}
	out, err := exec.Command(u.agentPath(), "version").Output()
	if got := strings.TrimSpace(string(out)); err != nil || got != "ratchetd "+version {
		u.t.Errorf("killed %d times the agent is %s (%v), want %s", killed, got, err, version)
	}
	err = patiently(func() error {
		files, err := os.ReadDir(filepath.Dir(u.agentPath()))
		if len(files) != 1 || err != nil {
			return fmt.Errorf("got %v (%v) in the agent's folder, want only it", files, err)
		}
		return nil
	})
	if err != nil {
		u.t.Error(err)
	}
	return s
}

// TestE2EAnUpdateKilledAtEveryPoint kills the old and the new agent before and
// after every commit of their journal: of a good new one, of one that crashes
// at once, and of one that finds no broker.
func TestE2EAnUpdateKilledAtEveryPoint(t *testing.T) {
	if !thorough() {
		t.Skip("RATCHET_E2E=1 runs it, or make e2e")
	}
	t.Parallel()
	for _, behaves := range []string{"", crashes, isDeaf} {
		for _, who := range []string{"1.0", "2.0"} {
			t.Run(strings.TrimSpace("the new one "+behaves)+", killed in "+who, func(t *testing.T) {
				t.Parallel()
				killUpdates(t, behaves, who)
			})
		}
	}
}

func killUpdates(t *testing.T, behaves, who string) {
	const together = 3
	var ends sync.Map // of what was told, by point
	points := 0
	for n := 1; ; n += together {
		reached := false
		t.Run(fmt.Sprint("from ", n), func(t *testing.T) {
			var mu sync.Mutex
			for at := range together * 2 {
				point := fmt.Sprintf("%d-%s", n+at/2, []string{"before", "after"}[at%2])
				t.Run(point, func(t *testing.T) {
					t.Parallel()
					u := newUpdated(t, behaves)
					killed := u.live(release{version: who}.dieAt() + "=" + point)
					s := u.holds(killed)
					if killed > 0 {
						mu.Lock()
						defer mu.Unlock()
						reached = true
						points++
						ends.Store(fmt.Sprint(s.State, ": ", s.Reason), true)
					}
				})
			}
		})
		if !reached {
			break
		}
	}
	if points == 0 && !(behaves == crashes && who == "2.0") {
		t.Error("nothing was killed: the hook does not work")
	}
	t.Logf("%-8s killed in %s: %2d points, each ended as it should", behaves, who, points)
	ends.Range(func(end, _ any) bool {
		t.Logf("         %v", end)
		return true
	})
}
