package agent

import (
	"context"
	"encoding/json"
	"errors"
	"log/slog"
	"net"
	"os"
	"path/filepath"
	"strings"
	"sync"
	"sync/atomic"
	"testing"
	"time"

	mochi "github.com/mochi-mqtt/server/v2"
	"github.com/mochi-mqtt/server/v2/packets"

	"github.com/ratchetd/ratchet/agent/config"
	"github.com/ratchetd/ratchet/agent/dialect"
	"github.com/ratchetd/ratchet/agent/local"
	"github.com/ratchetd/ratchet/executor"
	"github.com/ratchetd/ratchet/store"
)

// fn is a hook of functions, with which a test bends what the broker does.
type fn struct {
	mochi.HookBase
	read func(packets.Packet) packets.Packet
	pub  func(packets.Packet)
	subd func()
}

func (f *fn) ID() string { return "fn" }
func (f *fn) Provides(b byte) bool {
	return b == mochi.OnPacketRead && f.read != nil || b == mochi.OnPublish && f.pub != nil || b == mochi.OnSubscribe && f.subd != nil || b == mochi.OnPublished && f.pub != nil
}
func (f *fn) OnPacketRead(c *mochi.Client, p packets.Packet) (packets.Packet, error) {
	return f.read(p), nil
}
func (f *fn) OnPublish(c *mochi.Client, p packets.Packet) (packets.Packet, error) { return p, nil }
func (f *fn) OnPublished(c *mochi.Client, p packets.Packet) {
	if !c.Net.Inline {
		f.pub(p)
	}
}
func (f *fn) OnSubscribe(c *mochi.Client, p packets.Packet) packets.Packet { f.subd(); return p }

func (b *broker) lastOf(topic string) string {
	b.mu.Lock()
	defer b.mu.Unlock()
	return string(b.last[topic].Payload)
}

func (b *broker) retained(topic string) string {
	for _, p := range b.server.Topics.Messages(topic) {
		return string(p.Payload)
	}
	return ""
}

// A2: a change on trial, cut, outside its window / inhibited.
func TestATrialWaitsForNoInhibitor(t *testing.T) {
	b := newBroker(t)
	d := newDevice(t, b, "")
	target := filepath.Join(d.dir, "conf")
	os.WriteFile(target, []byte("old"), 0o600)
	d.start().online(b)
	j := map[string]any{"id": "j1", "steps": []any{map[string]any{"name": "a", "file": map[string]any{"path": target, "content": "bad"},
		"confirm": map[string]any{"within": "60s", "check": map[string]any{"file": "/nonexistent"}}}}}
	b.offer("device/gw-1", j)
	for end := time.Now().Add(10 * time.Second); read(t, target) != "bad" && time.Now().Before(end); {
		time.Sleep(50 * time.Millisecond)
	}
	time.Sleep(500 * time.Millisecond)
	// as a cut would leave it: the agent is stopped by force
	d.stop()
	os.MkdirAll(filepath.Join(d.dir, "state/inhibit"), 0o700)
	os.WriteFile(filepath.Join(d.dir, "state/inhibit/app"), []byte("busy"), 0o600)
	b.forget()
	d.start().online(b)
	time.Sleep(3 * time.Second)
	s := statusOf(b.lastOf(jobsTopic + "j1"))
	t.Logf("%s %s; file holds %q", s.State, s.Reason, read(t, target))
	if s.State == executor.Waiting {
		t.Error("a change on trial is left as it is: its trial waits for an inhibitor")
	}
}

func TestAJobThatWaitsStillExpires(t *testing.T) {
	b := newBroker(t)
	d := newDevice(t, b, "")
	os.MkdirAll(filepath.Join(d.dir, "state/inhibit"), 0o700)
	os.WriteFile(filepath.Join(d.dir, "state/inhibit/app"), []byte("busy"), 0o600)
	d.start().online(b)
	j := doc("j1", filepath.Join(d.dir, "ran"), "a")
	j["expires"] = time.Now().UTC().Add(3 * time.Second).Format("2006-01-02T15:04:05Z")
	b.offer("device/gw-1", j)
	time.Sleep(12 * time.Second)
	s := statusOf(b.lastOf(jobsTopic + "j1"))
	if s.State != executor.Rejected {
		t.Errorf("8 s after it expired: %s %s", s.State, s.Reason)
	}
}

// A4: a reload in the middle of a greeting
func TestAReloadDuringTheGreetingCounts(t *testing.T) {
	b := newBroker(t)
	d := newDevice(t, b, "")
	var n atomic.Int32
	b.server.AddHook(&fn{subd: func() {
		func() {
			if n.Add(1) != 2 { // 1: the read-back of the new journal
				return
			}
			c := *d.config.Load()
			c.Groups = append(c.Groups, "newgroup")
			d.use(&c)
			time.Sleep(50 * time.Millisecond)
		}()
	}}, nil)
	d.start()
	b.offer("group/newgroup", doc("j1", filepath.Join(d.dir, "ran"), "a"))
	wantState(t, b.final("j1"), executor.Succeeded)
}

func TestLocalJobsWaitForNoLink(t *testing.T) {
	b := newBroker(t)
	d := newDevice(t, b, "").start()
	b.await("ratchet/v1/device/gw-1/state", func(p string) bool { return strings.Contains(p, `"online":true`) })
	time.Sleep(200 * time.Millisecond) // connected, not yet quiet
	b.stop()
	time.Sleep(3 * time.Second)
	file := filepath.Join(d.dir, "ran")
	text, _ := json.Marshal(doc("local1", file, "a"))
	err := d.answerSubmit(context.Background(), local.Request{Do: "submit", Text: string(text)}, func(any) error { return nil })
	if err != nil {
		t.Fatal(err)
	}
	time.Sleep(10 * time.Second)
	if got := read(t, file); got != "a" {
		t.Error("10 s later, offline, the local job has not begun")
	}
	b.start()
}

func TestABrokerThatFallsIsNoFight(t *testing.T) {
	t.Parallel()
	l, err := net.Listen("tcp", "127.0.0.1:0")
	if err != nil {
		t.Fatal(err)
	}
	defer l.Close()
	go func() {
		for {
			c, err := l.Accept()
			if err != nil {
				return
			}
			c.Close()
		}
	}()
	d := newDevice(t, &broker{t: t, addr: l.Addr().String()}, "").start()
	// Five ends make a fight: with the pauses between them 31 s at most.
	for end := time.Now().Add(35 * time.Second); time.Now().Before(end); time.Sleep(time.Second) {
		for _, a := range d.alerts.List() {
			if a.Name == "duplicate-id" {
				t.Errorf("a proxy without a backend raises %s %s: %s", a.Severity, a.Name, a.Rule)
				return
			}
		}
	}
}

func TestACleanEndLeavesTheDeviceOffline(t *testing.T) {
	b := newBroker(t)
	d := newDevice(t, b, "")
	wrong := 0
	for i := range 10 {
		d.start().online(b)
		d.stop()
		time.Sleep(100 * time.Millisecond)
		if got := b.retained("ratchet/v1/device/gw-1/state"); !strings.Contains(got, "false") {
			wrong++
			t.Logf("round %d: after a clean end the retained state is %s", i, got)
		}
		b.forget()
	}
	if wrong > 0 {
		t.Errorf("%d of 10 ends leave the device online", wrong)
	}
}

type faulty struct {
	Journal
	cancel error
	accept time.Duration
}

func (f faulty) Cancel(id string, signed time.Time) error {
	if f.cancel != nil {
		return f.cancel
	}
	return f.Journal.Cancel(id, signed)
}
func (f faulty) Accept(r executor.Record) (store.Verdict, error) {
	time.Sleep(f.accept)
	return f.Journal.Accept(r)
}

func (d *device) startWith(f func(Journal) Journal) *device {
	d.t.Helper()
	path := filepath.Join(d.dir, "ratchet.toml")
	c, err := config.Load(path)
	if err != nil {
		d.t.Fatal(err)
	}
	a, err := New(c, slog.New(slog.NewTextHandler(&logs{d.t}, nil)))
	if err != nil {
		d.t.Fatal(err)
	}
	a.Wrap(f)
	d.Agent = a
	ctx, cancel := context.WithCancel(context.Background())
	done := make(chan error, 1)
	go func() { done <- a.Run(ctx, nil) }()
	d.stop = sync.OnceFunc(func() { cancel(); <-done })
	d.t.Cleanup(d.stop)
	return d
}

func TestACancelWorksOnAFullDisk(t *testing.T) {
	b := newBroker(t)
	d := newDevice(t, b, "").startWith(func(j Journal) Journal { return faulty{Journal: j, cancel: errors.New("no space left on device")} }).online(b)
	b.offer("device/gw-1", map[string]any{"id": "j1", "steps": []any{
		map[string]any{"name": "a", "command": map[string]any{"argv": []string{"sleep", "8"}}}}})
	b.await(jobsTopic+"j1", func(p string) bool { return statusOf(p).State == executor.Running })
	b.offer("device/gw-1", `{"id":"j1","cancel":true}`)
	s := b.final("j1")
	if s.State != executor.Cancelled {
		t.Errorf("the cancel was acknowledged and dropped: %s", s.State)
	}
	_ = d
}

func TestASlowDiskDoesNotEndTheQuiet(t *testing.T) {
	b := newBroker(t)
	file := ""
	d := newDevice(t, b, "")
	file = filepath.Join(d.dir, "ran")
	b.offer("device/gw-1", doc("j1", file, "a"))
	b.offer("group/routers", doc("j2", file, "b"))
	b.offer("all", `{"id":"j1","cancel":true}`)
	d.startWith(func(j Journal) Journal { return faulty{Journal: j, accept: 3 * time.Second} })
	s := b.final("j1")
	t.Log(s.State, read(t, file))
	if s.State != executor.Cancelled {
		t.Error("a cancel that had already been received came too late")
	}
}

// A10a: a broker that loses one PUBACK
func TestALostAckIsMadeUpFor(t *testing.T) {
	b := newBroker(t)
	var lost atomic.Bool
	b.server.AddHook(&fn{read: func(p packets.Packet) packets.Packet {
		if p.FixedHeader.Type == packets.Publish && strings.HasSuffix(p.TopicName, "/jobs/j1") && strings.Contains(string(p.Payload), "succeeded") && !lost.Swap(true) {
			return packets.Packet{FixedHeader: packets.FixedHeader{Type: packets.Pingreq}}
		}
		return p
	}}, nil)
	d := newDevice(t, b, "").start().online(b)
	b.offer("device/gw-1", doc("j1", filepath.Join(d.dir, "ran"), "a"))
	var s dialect.JobStatus
	for end := time.Now().Add(50 * time.Second); s.State != executor.Succeeded && time.Now().Before(end); time.Sleep(100 * time.Millisecond) {
		s = statusOf(b.lastOf(jobsTopic + "j1"))
	}
	untold, _ := d.db.Untold()
	t.Log(lost.Load(), s.State, len(untold), "connected", d.link.Session() != nil)
	if s.State != executor.Succeeded {
		t.Errorf("50 s later, still connected, the final state was not told again: %s", s.State)
	}
}

func TestADeniedReadBackRunsNothingAgain(t *testing.T) {
	b := newBroker(t)
	d := newDevice(t, b, "")
	file := filepath.Join(d.dir, "ran")
	d.start().online(b)
	b.offer("device/gw-1", doc("j1", file, "a"))
	b.final("j1")
	d.stop()
	d.remove("state/ratchet.db")
	b.server.AddHook(&fn{read: func(p packets.Packet) packets.Packet {
		if p.FixedHeader.Type == packets.Subscribe {
			for i := range p.Filters {
				if strings.HasSuffix(p.Filters[i].Filter, "gw-1/jobs/+") && strings.Contains(p.Filters[i].Filter, "/device/gw-1/jobs/") && !strings.Contains(p.Filters[i].Filter, "/jobs/device/") {
					p.Filters[i].Filter = "#/bad" // answered with 0x80
				}
			}
		}
		return p
	}}, nil)
	b.forget()
	d.start()
	for end := time.Now().Add(10 * time.Second); !strings.Contains(d.link.Status().Err, "denies"); time.Sleep(20 * time.Millisecond) {
		if time.Now().After(end) {
			t.Fatalf("the link does not name the missing right: %+v", d.link.Status())
		}
	}
	if got := read(t, file); got != "a" {
		t.Errorf("a denied read-back, and the job ran again: %q", got)
	}
}

func TestNothingIsJudgedBeforeTheReadBack(t *testing.T) {
	b := newBroker(t)
	d := newDevice(t, b, "")
	file := filepath.Join(d.dir, "ran")
	d.start().online(b)
	b.offer("device/gw-1", doc("j1", file, "a"))
	b.final("j1")
	d.stop()
	d.remove("state/ratchet.db")
	b.offer("device/gw-1", doc("j1", file, "a")) // published once more while it is off
	b.forget()
	d.start().online(b)
	time.Sleep(3 * time.Second)
	if got := read(t, file); got != "a" {
		t.Errorf("the job ran again after the journal was lost: %q", got)
	}
}

func TestASpreadIsToldOnce(t *testing.T) {
	b := newBroker(t)
	d := newDevice(t, b, "").start().online(b)
	b.forget()
	j := doc("j1", filepath.Join(d.dir, "ran"), "a")
	j["spread"] = "10h"
	b.offer("device/gw-1", j)
	time.Sleep(22 * time.Second)
	n := 0
	b.mu.Lock()
	for _, p := range b.said {
		if strings.HasSuffix(p.TopicName, "jobs/j1") {
			n++
		}
	}
	b.mu.Unlock()
	if n > 3 {
		t.Errorf("%d statuses in 22 s of waiting; last %q", n, statusOf(b.lastOf(jobsTopic+"j1")).Reason)
	}
}

func TestAReadBackErasesNothing(t *testing.T) {
	b := newBroker(t)
	d := newDevice(t, b, "").start().online(b)
	b.offer("device/gw-1", doc("j1", filepath.Join(d.dir, "ran"), "a"))
	b.final("j1")
	before := b.retained(jobsTopic + "j1")
	d.stop()
	d.remove("state/ratchet.db")
	d.start().online(b)
	time.Sleep(time.Second)
	after := b.retained(jobsTopic + "j1")
	if len(statusOf(after).Steps) != 1 {
		t.Errorf("a lost journal erases what the broker still had:\n before %s\n after  %s", before, after)
	}
}

func TestAnAlertClearedOfflineIsTold(t *testing.T) {
	b := newBroker(t)
	d := newDevice(t, b, "").start().online(b)
	d.alerts.Raise("no-room", "warning", "full")
	time.Sleep(200 * time.Millisecond)
	b.drop("gw-1")
	await(t, "the end of the connection", func() bool { return d.link.Session() == nil })
	d.alerts.Clear("no-room")
	d.stop()
	d.start().online(b)
	time.Sleep(500 * time.Millisecond)
	if got := b.retained("ratchet/v1/device/gw-1/alerts/no-room"); got != "" {
		t.Errorf("cleared while offline, raised for ever at the broker: %s", got)
	}
}

func TestAnAlertNeedsNoClock(t *testing.T) {
	b := newBroker(t)
	d := newDevice(t, b, "")
	greeting := make(chan bool, 99)
	b.server.AddHook(&fn{subd: func() {
		greeting <- true
		time.Sleep(300 * time.Millisecond)
	}}, nil)
	d.start()
	<-greeting
	d.clock.Start(time.Now().Add(24 * time.Hour))
	d.alerts.Raise("journal-broken", "critical", "set aside")
	b.await("ratchet/v1/device/gw-1/state", func(p string) bool { return strings.Contains(p, `"online":true`) })
	b.await("ratchet/v1/device/gw-1/alerts/journal-broken", func(p string) bool { return p != "" })
	time.Sleep(500 * time.Millisecond)
	if b.retained("ratchet/v1/device/gw-1/alerts/journal-broken") == "" {
		t.Error("an alert of a device without a clock is cleared before it was ever raised")
	}
}

func TestALateWillInTheGreetingIsCorrected(t *testing.T) {
	b := newBroker(t)
	d := newDevice(t, b, "")
	var once sync.Once
	b.server.AddHook(&fn{pub: func(p packets.Packet) {
		if strings.HasSuffix(p.TopicName, "/facts") {
			once.Do(func() {
				b.server.Publish("ratchet/v1/device/gw-1/state", []byte(`{"online":false}`), true, 1)
				time.Sleep(100 * time.Millisecond)
			})
		}
	}}, nil)
	d.start()
	const topic = "ratchet/v1/device/gw-1/state"
	b.await(topic, func(p string) bool { return strings.Contains(p, "false") })
	await(t, "the device to be connected", func() bool { return d.link.Session() != nil })
	await(t, "the state to be corrected", func() bool { return strings.Contains(b.retained(topic), "true") })
}

func discard() *slog.Logger { return slog.New(slog.DiscardHandler) }
