package agent

import (
	"context"
	"encoding/json"
	"flag"
	"log/slog"
	"os"
	"path/filepath"
	"strings"
	"sync/atomic"
	"syscall"
	"testing"
	"time"

	"github.com/ratchetd/ratchet/agent/dialect"
	"github.com/ratchetd/ratchet/agent/link"
	"github.com/ratchetd/ratchet/executor"
	"github.com/ratchetd/ratchet/executor/step/process"
)

// The tests mostly wait for topics to be quiet: many can do so at once,
// whatever the number of processors.
func TestMain(m *testing.M) {
	syscall.Umask(0o022) // what others can write is refused
	flag.Parse()
	if err := flag.Set("test.parallel", "48"); err != nil {
		panic(err)
	}
	process.Seal()
	link.AnswerMin, link.AnswerMax = 300*time.Millisecond, 2*time.Second
	os.Exit(m.Run())
}

// patience is how long a test waits for what must come. It comes within seconds;
// on a machine with more to do than it has processors it may take longer.
const patience = 2 * time.Minute

// await waits until ok.
func await(t *testing.T, what string, ok func() bool) {
	t.Helper()
	for deadline := time.Now().Add(patience); !ok(); time.Sleep(time.Millisecond) {
		if time.Now().After(deadline) {
			t.Fatalf("%s did not come within %s", what, patience)
		}
	}
}

// patient is a context that ends with the test's patience.
func patient(t *testing.T) context.Context {
	ctx, cancel := context.WithTimeout(t.Context(), patience)
	t.Cleanup(cancel)
	return ctx
}

// statusOf reads a status; one that is none has no state.
func statusOf(payload string) dialect.JobStatus {
	var s dialect.JobStatus
	_ = json.Unmarshal([]byte(payload), &s)
	return s
}

// doc is a job of commands that append their step's name to a file.
func doc(id, file string, steps ...string) map[string]any {
	var list []any
	for _, s := range steps {
		list = append(list, map[string]any{"name": s, "command": map[string]any{"shell": "echo " + s + " >>" + file}})
	}
	return map[string]any{"id": id, "steps": list}
}

// script is a job of one step, which runs a script of the shell.
func script(id, text string) map[string]any {
	return map[string]any{"id": id, "steps": []any{shell("a", text)}}
}

// read is a file in one line; empty if there is none.
func read(t *testing.T, file string) string {
	t.Helper()
	text, err := os.ReadFile(file)
	if err != nil && !os.IsNotExist(err) {
		t.Fatal(err)
	}
	return strings.ReplaceAll(strings.TrimSpace(string(text)), "\n", " ")
}

// wantState fails the test unless a job is in that state.
func wantState(t *testing.T, s dialect.JobStatus, want executor.State) {
	t.Helper()
	if s.State != want {
		t.Errorf("job %s: got %s (%s), want %s", s.Job, s.State, s.Reason, want)
	}
}

// minimal is the shortest configuration that works.
const minimal = "device = \"gw-1\"\n[link]\nbroker = \"tcp://broker:1883\"\n"

// configDir is a configuration directory with these files in it.
func configDir(t testing.TB, files map[string]string) string {
	dir := t.TempDir()
	for name, text := range files {
		path := filepath.Join(dir, name)
		if err := os.MkdirAll(filepath.Dir(path), 0o755); err != nil {
			t.Fatal(err)
		}
		if err := os.WriteFile(path, []byte(text), 0o600); err != nil {
			t.Fatal(err)
		}
	}
	return dir
}

// A movable clock is ahead of the right time by as much as a test moved it.
type movable struct{ ahead atomic.Int64 }

func (m *movable) now() time.Time       { return time.Now().Add(time.Duration(m.ahead.Load())) }
func (m *movable) move(d time.Duration) { m.ahead.Add(int64(d)) }

// discard is a log that nobody reads.
func discard() *slog.Logger { return slog.New(slog.DiscardHandler) }
