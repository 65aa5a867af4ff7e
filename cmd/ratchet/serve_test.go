package main

import (
	"bufio"
	"bytes"
	"context"
	"encoding/json"
	"fmt"
	"net/http"
	"os"
	"os/exec"
	"path/filepath"
	"strings"
	"testing"
	"time"

	"github.com/ratchetd/ratchet/agent/dialect"
	"github.com/ratchetd/ratchet/cmd/ratchet/internal/broker"
	"github.com/ratchetd/ratchet/cmd/ratchet/internal/fleet"
	"github.com/ratchetd/ratchet/cmd/ratchet/internal/link"
	"github.com/ratchetd/ratchet/cmd/ratchet/internal/rollout"
	"github.com/ratchetd/ratchet/cmd/ratchet/internal/serve/memory"
)

// A served is a process of 'ratchet serve'.
type served struct {
	*exec.Cmd
	url string // with the token in its fragment
}

// startServe starts the tool's own process, which a test may kill.
func startServe(t *testing.T, args ...string) *served {
	t.Helper()
	self, err := os.Executable()
	if err != nil {
		t.Fatal(err)
	}
	tool := filepath.Join(t.TempDir(), "ratchet")
	if err := os.Symlink(self, tool); err != nil {
		t.Fatal(err)
	}
	s := &served{Cmd: exec.Command(tool, append([]string{"serve", "--listen", "127.0.0.1:0"}, args...)...)}
	s.Stderr = os.Stderr
	out, err := s.StdoutPipe()
	if err == nil {
		err = s.Start()
	}
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { _ = s.Process.Kill(); _ = s.Wait() })
	if s.url, err = bufio.NewReader(out).ReadString('\n'); err != nil {
		t.Fatal(err)
	}
	s.url = strings.TrimSpace(s.url)
	return s
}

// kept waits until the process has kept so many messages.
func (s *served) kept(t *testing.T, want int) {
	t.Helper()
	base, _, _ := strings.Cut(s.url, "#")
	for late := time.Now().Add(time.Minute); ; time.Sleep(20 * time.Millisecond) {
		var now struct {
			Connected bool
			Messages  int
		}
		r, err := http.Get(base + "healthz")
		if err == nil {
			err = json.NewDecoder(r.Body).Decode(&now)
			r.Body.Close()
		}
		if err == nil && now.Connected && now.Messages >= want {
			return
		}
		if time.Now().After(late) {
			t.Fatalf("kept %+v, want %d (%v)", now, want, err)
		}
	}
}

func TestServeThatIsKilledLosesNothingThatADeviceSaidOnce(t *testing.T) {
	url, stop, err := broker.Start()
	if err != nil {
		t.Fatal(err)
	}
	defer stop()
	c, err := link.Connect(t.Context(), link.Options{Broker: url, Root: "ratchet/v1"})
	if err != nil {
		t.Fatal(err)
	}
	defer c.Close()
	file := filepath.Join(t.TempDir(), "serve.db")
	s := startServe(t, "--broker", url, "--database", file)
	s.kept(t, 0)
	begun := time.Date(2026, 11, 30, 10, 0, 0, 0, time.UTC)
	const samples = 300
	for i := range samples {
		if i == samples/2 { // in the middle of what comes
			if err := s.Process.Kill(); err != nil {
				t.Fatal(err)
			}
			_ = s.Wait()
		}
		text := fmt.Sprintf(`{"time":%q,"cpu":{"percent":5}}`, begun.Add(time.Duration(i)*time.Second).Format(time.RFC3339))
		if err := c.PublishOnce(t.Context(), dialect.Topic{Device: "gw-7", Part: "health"}, []byte(text)); err != nil {
			t.Fatal(err)
		}
	}
	// What is sent again counts as kept, so how many it kept does not say that it has all:
	// what is left waits at the broker for the next one.
	got := 0
	for range 20 {
		s = startServe(t, "--broker", url, "--database", file)
		s.kept(t, 0)
		time.Sleep(500 * time.Millisecond)
		_ = s.Process.Signal(os.Interrupt)
		_ = s.Wait()
		m, err := memory.Open(context.Background(), file)
		if err != nil {
			t.Fatal(err)
		}
		points, _, err := m.Health(t.Context(), "gw-7", begun, begun.Add(time.Hour), 3600)
		m.Close()
		if err != nil {
			t.Fatal(err)
		}
		if got = len(points); got == samples {
			return
		}
	}
	t.Errorf("got %d samples, want %d", got, samples)
}

func TestServeCarriesOnARolloutThatNobodyCarries(t *testing.T) {
	url, stop, err := broker.Start()
	if err != nil {
		t.Fatal(err)
	}
	defer stop()
	d := &fakeDevice{id: "gw-7", does: "succeed", facts: map[string]any{"device": "gw-7"}}
	if err := d.start(url); err != nil {
		t.Fatal(err)
	}
	defer d.stop()
	job := filepath.Join(t.TempDir(), "job.yaml")
	if err := os.WriteFile(job, []byte("id: radio\nsteps:\n- name: one\n  command: {argv: [\"true\"]}\n"), 0o600); err != nil {
		t.Fatal(err)
	}
	var out bytes.Buffer
	if code := run([]string{"rollout", "start", job, "--to", "all", "--waves", "100", "--soak", "0s", "--detach", "--broker", url}, nil, &out, &out); code != 0 {
		t.Fatalf("%d: %s", code, out.String())
	}
	startServe(t, "--broker", url, "--database", filepath.Join(t.TempDir(), "serve.db"))
	c, err := link.Connect(t.Context(), link.Options{Broker: url, Root: "ratchet/v1"})
	if err != nil {
		t.Fatal(err)
	}
	defer c.Close()
	if err := c.Subscribe(t.Context(), fleet.Filters(c.Root(), fleet.Rollouts("radio"))...); err != nil {
		t.Fatal(err)
	}
	for late := time.After(time.Minute); ; {
		select {
		case m := <-c.Feed():
			if d, err := rollout.Parse("radio", m.Payload); err == nil && d.State == rollout.Done {
				return
			}
		case <-late:
			t.Fatal("the rollout is not done within a minute")
		}
	}
}
