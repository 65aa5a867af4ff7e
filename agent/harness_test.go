package agent

import (
	"bytes"
	"context"
	"encoding/json"
	"errors"
	"flag"
	"fmt"
	"io"
	"log/slog"
	"net"
	"os"
	"path/filepath"
	"strings"
	"sync"
	"testing"
	"time"

	mochi "github.com/mochi-mqtt/server/v2"
	"github.com/mochi-mqtt/server/v2/hooks/auth"
	"github.com/mochi-mqtt/server/v2/listeners"
	"github.com/mochi-mqtt/server/v2/packets"

	"github.com/ratchetd/ratchet/agent/config"
	"github.com/ratchetd/ratchet/agent/dialect"
	"github.com/ratchetd/ratchet/agent/link"
	"github.com/ratchetd/ratchet/executor"
	"github.com/ratchetd/ratchet/executor/step/process"
)

// The tests mostly wait for topics to be quiet: many can do so at once,
// whatever the number of processors.
func TestMain(m *testing.M) {
	flag.Parse()
	if err := flag.Set("test.parallel", "24"); err != nil {
		panic(err)
	}
	process.Seal()
	link.AnswerMin, link.AnswerMax = 300*time.Millisecond, 2*time.Second
	os.Exit(m.Run())
}

// A broker is a real one, in this process. It notes what it hands to devices
// and what they say.
type broker struct {
	t      *testing.T
	server *mochi.Server
	addr   string
	mu     sync.Mutex
	said   []packets.Packet          // by devices, in order
	sent   map[string]int            // to devices, by topic
	last   map[string]packets.Packet // by topic
}

type spy struct {
	mochi.HookBase
	b *broker
}

func (s *spy) ID() string           { return "spy" }
func (s *spy) Provides(b byte) bool { return b == mochi.OnPublished || b == mochi.OnPacketSent }

func (s *spy) OnPublished(c *mochi.Client, p packets.Packet) {
	s.b.mu.Lock()
	defer s.b.mu.Unlock()
	p.Payload = bytes.Clone(p.Payload)
	s.b.said = append(s.b.said, p)
	s.b.last[p.TopicName] = p
}

func (s *spy) OnPacketSent(c *mochi.Client, p packets.Packet, _ []byte) {
	if p.FixedHeader.Type == packets.Publish {
		s.b.mu.Lock()
		defer s.b.mu.Unlock()
		s.b.sent[p.TopicName]++
	}
}

// newBroker starts one. Its tests mostly wait for topics to be quiet, so they
// run at the same time.
func newBroker(t *testing.T) *broker {
	t.Parallel()
	l, err := net.Listen("tcp", "127.0.0.1:0")
	if err != nil {
		t.Fatal(err)
	}
	addr := l.Addr().String()
	l.Close()
	b := &broker{t: t, addr: addr, sent: map[string]int{}, last: map[string]packets.Packet{}}
	b.start()
	t.Cleanup(func() { b.server.Close() })
	return b
}

func (b *broker) start() {
	b.server = mochi.New(&mochi.Options{InlineClient: true, Logger: slog.New(slog.NewTextHandler(io.Discard, nil))})
	for _, err := range []error{
		b.server.AddHook(new(auth.AllowHook), nil),
		b.server.AddHook(&spy{b: b}, nil),
		b.server.AddListener(listeners.NewTCP(listeners.Config{ID: "t", Address: b.addr})),
		b.server.Serve(),
	} {
		if err != nil {
			b.t.Fatal(err)
		}
	}
}

// drop ends the connection of a client.
func (b *broker) drop(id string) {
	if c, ok := b.server.Clients.Get(id); ok {
		c.Stop(errors.New("dropped by the test"))
	}
}

// stop ends the broker and with it everything that it knew.
func (b *broker) stop() { b.server.Close() }

func (b *broker) offer(to string, doc any) {
	b.t.Helper()
	text, ok := doc.(string)
	if !ok {
		raw, err := json.Marshal(doc)
		if err != nil {
			b.t.Fatal(err)
		}
		text = string(raw)
	}
	var head struct{ ID string }
	_ = json.Unmarshal([]byte(text), &head)
	b.retain(dialect.Topic{To: to, Name: head.ID}.Below("ratchet/v1"), text)
}

func (b *broker) retain(topic, payload string) {
	b.t.Helper()
	if err := b.server.Publish(topic, []byte(payload), true, 1); err != nil {
		b.t.Fatal(err)
	}
}

// await returns the first thing said on a topic that satisfies ok.
func (b *broker) await(topic string, ok func(payload string) bool) string {
	b.t.Helper()
	for end := time.Now().Add(time.Minute); time.Now().Before(end); time.Sleep(5 * time.Millisecond) {
		b.mu.Lock()
		for _, p := range b.said {
			if p.TopicName == topic && ok(string(p.Payload)) {
				b.mu.Unlock()
				return string(p.Payload)
			}
		}
		b.mu.Unlock()
	}
	b.t.Fatalf("nothing such was said on %s; last: %s", topic, b.last[topic].Payload)
	return ""
}

// final returns the status with which a job ended on gw-1.
func (b *broker) final(id string) dialect.JobStatus {
	b.t.Helper()
	text := b.await("ratchet/v1/device/gw-1/jobs/"+id, func(p string) bool { return statusOf(p).State.Final() })
	return statusOf(text)
}

func statusOf(payload string) dialect.JobStatus {
	var s dialect.JobStatus
	_ = json.Unmarshal([]byte(payload), &s)
	return s
}

// forget drops what was noted so far.
func (b *broker) forget() {
	b.mu.Lock()
	defer b.mu.Unlock()
	b.said, b.sent = nil, map[string]int{}
}

func (b *broker) count(topic string) int {
	b.mu.Lock()
	defer b.mu.Unlock()
	return b.sent[topic]
}

// A device is an agent that runs in this process.
type device struct {
	*Agent
	t    *testing.T
	dir  string
	log  io.Writer // nil is the test's
	stop func()

	looked *Agent // whose journal was looked at

	synchronised func() bool // the clock; nil: as the kernel says

	signals chan os.Signal // what it is asked
}

// newDevice makes gw-1 with extra configuration; it does not run yet.
func newDevice(t *testing.T, b *broker, extra string) *device {
	dir := t.TempDir()
	d := &device{t: t, dir: dir, signals: make(chan os.Signal)}
	t.Cleanup(func() { os.RemoveAll(config.RuntimeDir(filepath.Join(dir, "state"))) })
	d.write("ratchet.toml", fmt.Sprintf(`device = "gw-1"
groups = ["routers"]
state = %q
tags = {site = "berlin"}
%s
[link]
broker = "tcp://%s"
spread = "0s"
`, filepath.Join(dir, "state"), extra, b.addr))
	return d
}

func (d *device) write(name, text string) {
	d.t.Helper()
	if err := os.WriteFile(filepath.Join(d.dir, name), []byte(text), 0o600); err != nil {
		d.t.Fatal(err)
	}
}

func (d *device) remove(name string) {
	d.t.Helper()
	if err := os.Remove(filepath.Join(d.dir, name)); err != nil {
		d.t.Fatal(err)
	}
}

// start runs the agent until the test, or stop, ends it.
func (d *device) start() *device {
	d.t.Helper()
	path := filepath.Join(d.dir, "ratchet.toml")
	c, err := config.Load(path)
	if err != nil {
		d.t.Fatal(err)
	}
	var log io.Writer = &logs{d.t}
	if d.log != nil {
		log = d.log
	}
	a, err := New(c, slog.New(slog.NewTextHandler(log, &slog.HandlerOptions{Level: slog.LevelDebug})))
	if err != nil {
		d.t.Fatal(err)
	}
	d.Agent, a.clock.Synchronised = a, d.synchronised
	ctx, cancel := context.WithCancel(context.Background())
	done := make(chan error, 1)
	go func() { done <- a.Run(ctx, d.signals) }()
	d.stop = sync.OnceFunc(func() {
		cancel()
		if err := <-done; err != nil {
			d.t.Errorf("Run: %v", err)
		}
	})
	d.t.Cleanup(d.stop)
	return d
}

// online waits until the device has said so and its topics are quiet.
func (d *device) online(b *broker) *device {
	d.t.Helper()
	b.await("ratchet/v1/device/gw-1/state", func(p string) bool { return strings.Contains(p, `"online":true`) })
	for end := time.Now().Add(10 * time.Second); !d.link.Settled(); time.Sleep(10 * time.Millisecond) {
		if time.Now().After(end) {
			d.t.Fatal("the link was never quiet")
		}
	}
	return d
}

type logs struct{ t *testing.T }

func (l *logs) Write(p []byte) (int, error) { l.t.Logf("%s", p); return len(p), nil }

// doc is a job of commands that append their step's name to a file.
func doc(id, file string, steps ...string) map[string]any {
	var list []any
	for _, s := range steps {
		list = append(list, map[string]any{"name": s, "command": map[string]any{"shell": "echo " + s + " >>" + file}})
	}
	return map[string]any{"id": id, "steps": list}
}

func read(t *testing.T, file string) string {
	t.Helper()
	text, err := os.ReadFile(file)
	if err != nil && !os.IsNotExist(err) {
		t.Fatal(err)
	}
	return strings.ReplaceAll(strings.TrimSpace(string(text)), "\n", " ")
}

func wantState(t *testing.T, s dialect.JobStatus, want executor.State) {
	t.Helper()
	if s.State != want {
		t.Errorf("job %s: got %s (%s), want %s", s.Job, s.State, s.Reason, want)
	}
}

func instant(t *testing.T, text string) time.Time {
	t.Helper()
	at, err := time.Parse(time.RFC3339, text)
	if err != nil {
		t.Fatal(err)
	}
	return at
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

func await(t *testing.T, what string, ok func() bool) {
	t.Helper()
	for deadline := time.Now().Add(time.Minute); !ok(); time.Sleep(time.Millisecond) {
		if time.Now().After(deadline) {
			t.Fatalf("%s did not come within a minute", what)
		}
	}
}
