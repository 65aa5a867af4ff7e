package agent

import (
	"context"
	"encoding/json"
	"log/slog"
	"net"
	"os"
	"path/filepath"
	"runtime"
	"slices"
	"strings"
	"sync"
	"testing"
	"testing/synctest"
	"time"

	"github.com/eclipse/paho.mqtt.golang/packets"

	"github.com/ratchetd/ratchet/agent/config"
	"github.com/ratchetd/ratchet/telemetry"
)

// backlogPace is how far apart arrays of samples that waited are.
const backlogPace = 10 * time.Second

// A feeler is an agent of which only health lives, in a bubble of virtual time:
// its broker is at the other end of a pipe.
type feeler struct {
	*Agent
	t    *testing.T
	stop func()
	end  func() // of the connection; nil: there is none

	mu   sync.Mutex
	got  [][]time.Time // of the samples in each message
	deaf bool          // the broker acknowledges nothing
}

// feel opens an agent in dir, which samples and publishes every five minutes,
// and spills every fifteen.
func feel(t *testing.T, dir string) *feeler {
	t.Helper()
	path := filepath.Join(dir, "ratchet.toml")
	text := "device = \"gw-1\"\nstate = \"state\"\n[link]\nbroker = \"tcp://192.0.2.1:1\"\n[telemetry]\nevery = \"5m\"\nspill = \"15m\"\n"
	if err := os.WriteFile(path, []byte(text), 0o600); err != nil {
		t.Fatal(err)
	}
	c, err := config.Load(path)
	if err != nil {
		t.Fatal(err)
	}
	a, err := New(c, slog.New(slog.DiscardHandler))
	if err == nil {
		err = a.open()
	}
	if err != nil {
		t.Fatal(err)
	}
	f := &feeler{Agent: a, t: t}
	ctx, cancel := context.WithCancel(context.Background())
	var loops sync.WaitGroup
	loops.Go(func() { _ = a.health.Watch(ctx, a.onSample) })
	loops.Go(func() { _ = a.health.Run(ctx) })
	f.stop = sync.OnceFunc(func() {
		f.down()
		cancel()
		loops.Wait()
		a.db.Close()
	})
	return f
}

// up connects, and does of what a session does that which concerns health.
func (f *feeler) up() {
	f.t.Helper()
	here, there := net.Pipe()
	go f.serve(there)
	end, err := f.link.Pipe(here)
	if err != nil {
		f.t.Fatal(err)
	}
	f.end = end
	f.health.Retry()
}

func (f *feeler) down() {
	if f.end != nil {
		f.end()
		f.end = nil
	}
}

// serve is the broker: it takes what comes, and acknowledges it.
func (f *feeler) serve(c net.Conn) {
	defer c.Close()
	for {
		p, err := packets.ReadPacket(c)
		if err != nil {
			return
		}
		var answer packets.ControlPacket
		switch p := p.(type) {
		case *packets.ConnectPacket:
			answer = packets.NewControlPacket(packets.Connack)
		case *packets.PingreqPacket:
			answer = packets.NewControlPacket(packets.Pingresp)
		case *packets.PublishPacket:
			if !f.take(p) {
				continue
			}
			ack := packets.NewControlPacket(packets.Puback).(*packets.PubackPacket)
			ack.MessageID = p.MessageID
			answer = ack
		}
		if answer == nil || answer.Write(c) != nil {
			return
		}
	}
}

func (f *feeler) take(p *packets.PublishPacket) bool {
	f.mu.Lock()
	defer f.mu.Unlock()
	if f.deaf {
		return false
	}
	text := p.Payload
	if text[0] != '[' {
		text = append(append([]byte("["), text...), ']')
	}
	var some []telemetry.Sample
	if err := json.Unmarshal(text, &some); err != nil {
		f.t.Error(err)
	}
	var times []time.Time
	for _, one := range some {
		times = append(times, one.Time)
	}
	f.got = append(f.got, times)
	return true
}

// times are those of all samples that came, in order, such as "00:10 00:00+00:05".
func (f *feeler) times() string {
	f.mu.Lock()
	defer f.mu.Unlock()
	var all []string
	for _, message := range f.got {
		var some []string
		for _, at := range message {
			text := "-"
			if !at.IsZero() {
				text = at.Format("15:04")
			}
			some = append(some, text)
		}
		all = append(all, strings.Join(some, "+"))
	}
	return strings.Join(all, " ")
}

// taken are the times of all samples that came.
func (f *feeler) taken() []time.Time {
	f.mu.Lock()
	defer f.mu.Unlock()
	return slices.Concat(f.got...)
}

func (f *feeler) setDeaf(deaf bool) {
	f.mu.Lock()
	defer f.mu.Unlock()
	f.deaf = deaf
}

func (f *feeler) want(times string) {
	f.t.Helper()
	if got := f.times(); got != times {
		f.t.Errorf("got %q, want %q", got, times)
	}
}

func TestSamplesThatWaitedComeBehindTheLiveOneInArrays(t *testing.T) {
	dir := t.TempDir()
	synctest.Test(t, func(t *testing.T) {
		f := feel(t, dir)
		defer f.stop()
		time.Sleep(11 * time.Minute)
		f.want("")
		f.up()
		time.Sleep(time.Second)
		f.want("00:10")
		time.Sleep(2 * backlogPace)
		f.want("00:10 00:00+00:05")
		time.Sleep(4 * time.Minute)
		f.want("00:10 00:00+00:05 00:15")
	})
}

func TestASampleThatWaitedForTheFirstConnectionIsSentOnIt(t *testing.T) {
	b := newBroker(t)
	b.stop()
	newDevice(t, b, "[telemetry]\npublish = \"24h\"\n").start()
	time.Sleep(time.Second)
	b.start()
	b.await("ratchet/v1/device/gw-1/health", func(p string) bool { return strings.HasPrefix(p, `{"device":"gw-1","time"`) })
}

func TestNoFlashIsWrittenWhileOnlineAndLittleWhileOffline(t *testing.T) {
	dir := t.TempDir()
	synctest.Test(t, func(t *testing.T) {
		f := feel(t, dir)
		defer f.stop()
		f.up()
		before := f.db.Commits()
		time.Sleep(24 * time.Hour)
		if got := f.db.Commits() - before; got != 0 {
			t.Errorf("a day online: got %d commits, want none", got)
		}
		f.down()
		time.Sleep(24 * time.Hour)
		if got := f.db.Commits() - before; got < 60 || got > 96 {
			t.Errorf("a day offline: got %d commits, want at most one in a quarter of an hour, so 60 to 96", got)
		}
		spilled := f.db.Commits()
		f.up()
		time.Sleep(time.Hour)
		if got := f.db.Commits() - spilled; got != 1 {
			t.Errorf("once all was sent: got %d commits, want 1", got)
		}
		if got, want := len(f.taken()), 49*12; got < want || got > want+1 {
			t.Errorf("got %d samples of 49 hours, want %d", got, want)
		}
	})
}

func TestASampleStaysInTheJournalUntilTheBrokerTookIt(t *testing.T) {
	dir := t.TempDir()
	synctest.Test(t, func(t *testing.T) {
		f := feel(t, dir)
		time.Sleep(31 * time.Minute)
		f.setDeaf(true)
		f.up()
		time.Sleep(time.Minute)
		f.stop()
		f = feel(t, dir) // and a restart finds it
		defer f.stop()
		time.Sleep(time.Second)
		f.up()
		time.Sleep(time.Minute)
		f.want("00:32 00:00+00:05+00:10+00:15")
		waiting, err := f.db.Samples()
		if err != nil || len(waiting) != 0 {
			t.Errorf("got %d in the journal, %v; want none once the broker took them", len(waiting), err)
		}
	})
}

func TestSamplesOfAWrongClockGetTheirTimeOnceItIsRight(t *testing.T) {
	dir := t.TempDir()
	synctest.Test(t, func(t *testing.T) {
		f := feel(t, dir)
		defer f.stop()
		f.clock.Raise(time.Now().Add(time.Hour)) // what is below that is no time
		time.Sleep(26 * time.Minute)
		f.up()
		time.Sleep(time.Second)
		f.want("-")
		f.clock.Start(time.Now())
		time.Sleep(2 * backlogPace)
		f.want("- 00:00+00:05+00:10+00:15+00:20")
	})
}

func TestADayOfTwoHundredReconnectsLeavesNothingBehind(t *testing.T) {
	dir := t.TempDir()
	synctest.Test(t, func(t *testing.T) {
		f := feel(t, dir)
		defer f.stop()
		var early, late uint64
		var routines int
		for i := range 200 {
			f.up()
			time.Sleep(4 * time.Minute)
			f.down()
			time.Sleep(192 * time.Second)
			switch i {
			case 20:
				early, routines = heap(), runtime.NumGoroutine()
			case 199:
				late = heap()
			}
		}
		if got := runtime.NumGoroutine(); got > routines {
			t.Errorf("got %d goroutines, %d after 20 reconnects", got, routines)
		}
		if late > early+256<<10 {
			t.Errorf("the heap grew from %d to %d bytes", early, late)
		}
		f.up()
		time.Sleep(10 * time.Minute)
		seen := map[time.Time]bool{}
		for _, at := range f.taken() {
			seen[at] = true
		}
		if got, want := len(seen), 24*12+2; got < want {
			t.Errorf("got %d samples, want those of a day, %d", got, want)
		}
	})
}

// heap is what lives, in bytes.
func heap() uint64 {
	var m runtime.MemStats
	runtime.GC()
	runtime.GC() // what pools hold lives for one collection
	runtime.ReadMemStats(&m)
	return m.HeapAlloc
}
