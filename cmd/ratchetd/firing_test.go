package main

import (
	"fmt"
	"os"
	"path/filepath"
	"strings"
	"testing"
	"time"
)

const everyTwoSeconds = `device = "gw-1"
state = %q
[link]
broker = %q
spread = "0s"
[[schedule]]
name = "s"
cron = "@every 2s"
catchUp = true
overlap = "queue"
job = %q
`

// TestKillAtTheMomentOfFiring kills ratchetd before and after every commit of
// the firings of a schedule, and starts it again: no due time has two jobs, and
// what was begun is not begun again.
func TestKillAtTheMomentOfFiring(t *testing.T) {
	t.Parallel()
	last := 3
	if thorough() {
		last = 6
	}
	for n := 1; n <= last; n++ {
		for _, side := range []string{"before", "after"} {
			point := fmt.Sprintf("%d-%s", n, side)
			t.Run(point, func(t *testing.T) {
				t.Parallel()
				killedFiring(t, point)
			})
		}
	}
}

func killedFiring(t *testing.T, point string) {
	v := newVictim(t, embedded)
	job, ran := filepath.Join(v.dir, "job.json"), filepath.Join(v.dir, "ran")
	config := fmt.Sprintf(everyTwoSeconds, v.state("gw-1"), v.broker.url("tcp"), job)
	shell := fmt.Sprintf(`{"id":"any","steps":[{"name":"only","ifInterrupted":"fail","command":{"shell":"echo $RATCHET_JOB >>%s"}}]}`, ran)
	for path, text := range map[string]string{v.config("gw-1"): config, job: shell} {
		if err := os.MkdirAll(filepath.Dir(path), 0o700); err != nil {
			t.Fatal(err)
		}
		if err := os.WriteFile(path, []byte(text), 0o600); err != nil {
			t.Fatal(err)
		}
	}
	d := v.run(dieAt + "=" + point)
	select {
	case <-d.done:
	case <-time.After(patience):
		t.Fatal("the point was never reached")
	}
	before := jobsRun(ran)
	v.run()
	if err := patiently(func() error {
		if n := len(jobsRun(ran)); n < len(before)+2 {
			return fmt.Errorf("%d jobs ran, %d of them before the cut", n, len(before))
		}
		return nil
	}); err != nil {
		t.Fatal(err)
	}
	count := map[string]int{}
	for _, id := range jobsRun(ran) {
		if count[id]++; count[id] > 1 {
			t.Errorf("%s ran %d times", id, count[id])
		}
	}
}

func jobsRun(file string) []string {
	text, _ := os.ReadFile(file) // none: nothing ran
	return strings.Fields(string(text))
}
