package main

import (
	"encoding/json"
	"fmt"
	"os"
	"os/exec"
	"path/filepath"
	"strconv"
	"strings"
	"testing"
	"time"
)

// build builds ratchetd of a version as the Makefile does.
func buildDaemon(t *testing.T, version, path string) []byte {
	t.Helper()
	cmd := exec.Command("go", "build", "-trimpath", "-ldflags", "-s -w -X github.com/ratchetd/ratchet/agent/build.version="+version, "-o", path, ".")
	cmd.Env = append(os.Environ(), "CGO_ENABLED=0")
	if out, err := cmd.CombinedOutput(); err != nil {
		t.Fatalf("%v: %s", err, out)
	}
	program, err := os.ReadFile(path)
	if err != nil {
		t.Fatal(err)
	}
	return program
}

// memoryOf are figures of /proc/PID/status in KiB, zero when it is gone.
func memoryOf(pid int) (most, now, own int) {
	text, _ := os.ReadFile(fmt.Sprintf("/proc/%d/status", pid))
	for line := range strings.Lines(string(text)) {
		f := strings.Fields(line)
		if len(f) < 2 {
			continue
		}
		n, _ := strconv.Atoi(f[1])
		switch f[0] {
		case "VmHWM:":
			most = n
		case "VmRSS:":
			now = n
		case "RssAnon:":
			own = n
		}
	}
	return most, now, own
}

// A watchedPeak follows a process through its update.
type watchedPeak struct {
	idle, most, own int // of the old agent: before, at most, and of that anonymous
	tried           int // of the new binary while it is tried
	done            chan struct{}
}

// watchPeak looks again and again until the process is another program.
func watchPeak(pid int) *watchedPeak {
	w := &watchedPeak{done: make(chan struct{})}
	_, w.idle, _ = memoryOf(pid)
	go func() {
		defer close(w.done)
		for {
			most, _, own := memoryOf(pid)
			if most < w.most { // a new program begins again
				return
			}
			w.most, w.own = most, max(w.own, own)
			for _, child := range childrenOf(pid) {
				// Until it is another program it shares the agent's memory.
				if exe, err := os.Readlink(fmt.Sprintf("/proc/%d/exe", child)); err == nil && strings.HasPrefix(filepath.Base(exe), ".ratchetd") {
					most, _, _ := memoryOf(child)
					w.tried = max(w.tried, most)
				}
			}
			time.Sleep(500 * time.Microsecond)
		}
	}()
	return w
}

func childrenOf(pid int) (list []int) {
	threads, _ := filepath.Glob(fmt.Sprintf("/proc/%d/task/*/children", pid))
	for _, file := range threads {
		text, _ := os.ReadFile(file)
		for _, f := range strings.Fields(string(text)) {
			n, _ := strconv.Atoi(f)
			list = append(list, n)
		}
	}
	return list
}

// TestE2EAnAgentOfAVersionBecomesAnother is the whole thing for real: two
// binaries of one tree, with a job before and after, and how much memory the
// old one takes for it where there is plenty and where there is little.
func TestE2EAnAgentOfAVersionBecomesAnother(t *testing.T) {
	if !thorough() {
		t.Skip("RATCHET_E2E=1 runs it, or make e2e")
	}
	next := buildDaemon(t, "1.2.4", filepath.Join(t.TempDir(), "next"))
	for _, free := range []string{"plenty", "little"} {
		t.Run(free, func(t *testing.T) {
			v := newVictim(t, embedded)
			if err := v.install(release{}); err != nil {
				t.Fatal(err)
			}
			buildDaemon(t, "1.2.3", v.agentPath())
			if free == "little" {
				withLittleMemory(t, v.site)
			}
			v.serve(serveFile(next, 1<<30))
			d := v.run()
			if err := v.watcher.sees("device/gw-1/facts", `.agent == "1.2.3"`); err != nil {
				t.Fatal(err)
			}
			doJob(t, v, `{"id":"before","steps":[{"name":"a","command":{"argv":["true"]}}]}`, "before")
			w := watchPeak(d.cmd.Process.Pid)
			doJob(t, v, `{"id":"up","steps":[{"name":"first","command":{"argv":["true"]}},
				{"name":"update","update":{"url":"${HTTP}/r","sha256":"${SHA}","version":"1.2.4"}},
				{"name":"last","command":{"argv":["true"]}}]}`, "up")
			<-w.done
			if err := v.watcher.sees("device/gw-1/facts", `.agent == "1.2.4"`); err != nil {
				t.Fatal(err)
			}
			doJob(t, v, `{"id":"after","steps":[{"name":"a","command":{"argv":["true"]}}]}`, "after")
			t.Logf("a binary of %d KiB, %s memory: the old agent had %d KiB, at most %d (anonymous %d); the new one while it is tried %d",
				len(next)>>10, free, w.idle, w.most, w.own, w.tried)
			if grown := w.most - w.idle; free == "little" && grown > len(next)>>10 {
				t.Errorf("got %d KiB more, want less than the size of the binary", grown)
			}
		})
	}
}

func doJob(t *testing.T, v *victim, doc, id string) {
	t.Helper()
	if err := v.watcher.send("jobs/device/gw-1/"+id, v.fill([]byte(doc))); err != nil {
		t.Fatal(err)
	}
	s := v.final(id)
	text, err := json.Marshal(s)
	if err != nil || s.State != "succeeded" {
		t.Errorf("%s: got %s, %v", id, text, err)
	}
	t.Logf("%s", text)
}

// withLittleMemory lets the agent read that the board has 24 MB left.
func withLittleMemory(t *testing.T, s *site) {
	if !canFakeBoot() || os.Geteuid() != 0 {
		t.Skip("this system lets us mount nothing")
	}
	file := filepath.Join(s.dir, "meminfo")
	if err := os.WriteFile(file, []byte("MemTotal: 61440 kB\nMemFree: 8192 kB\nMemAvailable: 24576 kB\n"), 0o600); err != nil {
		t.Fatal(err)
	}
	s.program = append([]string{"unshare", "--mount", "sh", "-c", "mount --bind " + file + ` /proc/meminfo && exec "$0" "$@"`}, s.program...)
}
