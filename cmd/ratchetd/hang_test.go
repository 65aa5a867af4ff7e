package main

import (
	"fmt"
	"os"
	"regexp"
	"sync"
	"syscall"
	"testing"
)

// TestADaemonThatHangsEndsItselfAndItsJobGoesOn: whichever commit of a job never
// returns, be it within a step, whose kind then hears nothing of the end of its
// time, or between two. Nothing but the daemon itself notices that.
func TestADaemonThatHangsEndsItselfAndItsJobGoesOn(t *testing.T) {
	t.Parallel()
	var mu sync.Mutex
	hung := map[string]int{}
	t.Run("at", func(t *testing.T) {
		for at := 3; at <= 8; at++ {
			t.Run(fmt.Sprint(at), func(t *testing.T) {
				t.Parallel()
				why := hangAt(t, at)
				mu.Lock()
				defer mu.Unlock()
				hung[why]++
			})
		}
	})
	if hung["the loop that runs jobs hangs"] < 3 || hung["a step should be over, and goes on"] != 1 {
		t.Errorf("got %v", hung)
	}
}

// hangAt is why the daemon ended itself at that commit, or empty.
func hangAt(t *testing.T, at int) (why string) {
	v := newVictim(t, embedded)
	const job = `{"id":"j","steps":[{"name":"a","command":{"argv":["true"]}},
		{"name":"b","file":{"path":"${WORK}/b","content":"b"},"timeout":"500ms"}, {"name":"c","command":{"argv":["true"]}}]}`
	if err := v.watcher.send("jobs/device/gw-1/j", v.fill([]byte(job))); err != nil {
		t.Fatal(err)
	}
	d := v.run(fmt.Sprintf("%s=%d-hang", dieAt, at), "WATCHDOG_USEC=6000000")
	if v.ended(d) {
		why = v.why(d)
		v.run()
	}
	if err := v.watcher.sees("device/gw-1/jobs/j", `.state == "succeeded" and all(.steps[]; .attempts <= 2)`); err != nil {
		t.Error(err)
	}
	return why
}

// ended waits until the daemon ends, or the job.
func (v *victim) ended(d *daemon) bool {
	over := make(chan error, 1)
	go func() { over <- v.watcher.sees("device/gw-1/jobs/j", `.state == "succeeded"`) }()
	select {
	case <-d.done:
		return true
	case err := <-over:
		if err != nil {
			v.t.Fatal(err)
		}
		return false
	}
}

var (
	hangs     = regexp.MustCompile(`(?m)^ratchetd: the agent hangs and ends, to be started again: (.*?)( for \S+)?$`)
	hangsHere = regexp.MustCompile(`msg="goroutine \d+ \[select[^"]*cut_test.go`)
)

// why is what the daemon ended with. It has said where it hangs.
func (v *victim) why(d *daemon) string {
	text, err := os.ReadFile(d.log)
	found := hangs.FindSubmatch(text)
	if err != nil || found == nil || d.cmd.ProcessState.ExitCode() != 1 || !hangsHere.Match(text) {
		v.t.Fatalf("got %v, %v: %s", err, d.cmd.ProcessState, text)
	}
	return string(found[1])
}

// TestTheEndByAWatchdogIsNoDump: systemd's sends SIGABRT, of which the Go runtime
// makes the registers and every stack, in hundreds of lines.
func TestTheEndByAWatchdogIsNoDump(t *testing.T) {
	t.Parallel()
	v := newVictim(t, embedded)
	d := v.run()
	if err := v.watcher.sees("device/gw-1/state", ".online"); err != nil {
		t.Fatal(err)
	}
	if err := d.signal(syscall.SIGABRT); err != nil {
		t.Fatal(err)
	}
	if err := d.wait(); err != nil {
		t.Fatal(err)
	}
	text, err := os.ReadFile(d.log)
	if err != nil {
		t.Fatal(err)
	}
	found := hangs.FindSubmatch(text)
	if found == nil || string(found[1]) != "SIGABRT came, as systemd's watchdog sends it that has heard nothing" || d.cmd.ProcessState.ExitCode() != 1 {
		t.Errorf("got %v: %s", d.cmd.ProcessState, text)
	}
	if dump := regexp.MustCompile(`(?m)^(PC=|SIGABRT: abort|r[a-z0-9]+ +0x|goroutine \d)`); dump.Match(text) {
		t.Errorf("got a dump: %s", dump.Find(text))
	}
}
