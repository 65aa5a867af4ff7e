package main

import (
	"bytes"
	"context"
	"encoding/json"
	"fmt"
	"maps"
	"os"
	"os/exec"
	"path/filepath"
	"strings"
	"sync"
	"syscall"
	"testing"
	"time"
)

var programs = sync.OnceValues(func() (string, error) {
	dir, err := os.MkdirTemp("", "ratchet-nats-")
	if err != nil {
		return "", err
	}
	cmd := exec.Command("go", "build", "-o", dir, "../../cmd/ratchetd", "../../cmd/ratchet")
	cmd.Env = append(os.Environ(), "CGO_ENABLED=0")
	if out, err := cmd.CombinedOutput(); err != nil {
		return dir, fmt.Errorf("%w: %s", err, out)
	}
	return dir, nil
})

func TestMain(m *testing.M) {
	syscall.Umask(0o022)
	code := m.Run()
	if os.Getenv("RATCHET_E2E") != "" {
		if dir, _ := programs(); dir != "" {
			_ = os.RemoveAll(dir)
		}
	}
	os.Exit(code)
}

// program is the path of one of ours.
func program(t *testing.T, name string) string {
	t.Helper()
	dir, err := programs()
	if err != nil {
		t.Fatal(err)
	}
	return filepath.Join(dir, name)
}

// startDevice runs a ratchetd that knows these nodes, in turn. Its jobs write into
// its folder.
func startDevice(t *testing.T, id string, known ...*node) (dir string) {
	t.Helper()
	dir = t.TempDir()
	var others []string
	for _, n := range known[1:] {
		others = append(others, fmt.Sprintf("%q", "tcp://"+n.mqtt))
	}
	conf := fmt.Sprintf(`device = %q
groups = ["routers"]
state = %q
vars = {dir = %[3]q}
[link]
broker = "tcp://%s"
fallback = [%s]
spread = "0s"
keepAlive = "10s"
[telemetry]
every = "2s"
publish = "2s"
`, id, filepath.Join(dir, "state"), dir, known[0].mqtt, strings.Join(others, ", "))
	file := filepath.Join(dir, "ratchet.toml")
	if err := os.WriteFile(file, []byte(conf), 0o600); err != nil {
		t.Fatal(err)
	}
	cmd := exec.Command(program(t, "ratchetd"), "run", "--config", file)
	log := new(bytes.Buffer)
	cmd.Stdout, cmd.Stderr = log, log
	if err := cmd.Start(); err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() {
		_ = cmd.Process.Signal(syscall.SIGTERM)
		_ = cmd.Wait()
		if t.Failed() {
			t.Logf("%s:\n%s", id, log)
		}
	})
	return dir
}

// ratchet runs a command of the operator's tool at a node, and returns what it
// prints.
func ratchet(t *testing.T, at *node, args ...string) (string, error) {
	t.Helper()
	out, notes, err := run(t, at, args...)
	return out + notes, err
}

func run(t *testing.T, at *node, args ...string) (out, notes string, err error) {
	t.Helper()
	ctx, cancel := context.WithTimeout(t.Context(), 2*time.Minute)
	defer cancel()
	cmd := exec.CommandContext(ctx, program(t, "ratchet"), append(args, "--broker", "tcp://"+at.mqtt)...)
	var said, beside bytes.Buffer
	cmd.Stdout, cmd.Stderr = &said, &beside
	if err = cmd.Run(); err != nil {
		err = fmt.Errorf("ratchet %s at %s: %w: %s", strings.Join(args, " "), at.name, err, beside.String())
	}
	return said.String(), beside.String(), err
}

// show is ratchet, into the log of the session.
func show(t *testing.T, at *node, args ...string) string {
	t.Helper()
	out, err := ratchet(t, at, args...)
	t.Logf("at %s: ratchet %s\n%s", at.name, strings.Join(args, " "), out)
	if err != nil {
		t.Fatal(err)
	}
	return out
}

// A jobLine is what the tool says of one job.
type jobLine struct {
	Job    string
	States map[string]int
}

// jobs asks a node for what is retained of all jobs, by id.
func jobs(t *testing.T, at *node) (map[string]jobLine, error) {
	t.Helper()
	out, _, err := run(t, at, "jobs", "--json")
	if err != nil {
		return nil, err
	}
	var lines []jobLine
	if err := json.Unmarshal([]byte(out), &lines); err != nil {
		return nil, err
	}
	byID := map[string]jobLine{}
	for _, line := range lines {
		byID[line.Job] = line
	}
	return byID, nil
}

// stands is an error unless the node says that a job stands so, by state.
func stands(t *testing.T, at *node, job string, want map[string]int) error {
	t.Helper()
	all, err := jobs(t, at)
	if err == nil && !maps.Equal(all[job].States, want) {
		err = fmt.Errorf("job %s at %s: want %v, got %v", job, at.name, want, all)
	}
	return err
}

// offered is an error unless the node knows these jobs.
func offered(t *testing.T, at *node, ids ...string) error {
	t.Helper()
	all, err := jobs(t, at)
	for _, id := range ids {
		if _, there := all[id]; err == nil && !there {
			err = fmt.Errorf("%s does not know job %s", at.name, id)
		}
	}
	return err
}
