package agent

import (
	"encoding/json"
	"errors"
	"io"
	"net"
	"os"
	"path/filepath"
	"strings"
	"sync/atomic"
	"testing"
	"time"

	"github.com/ratchetd/ratchet/agent/local"
	"github.com/ratchetd/ratchet/executor"
)

// A road is the network between a device and its broker. A file on the device
// says how it is, as network settings do: "open", "shut", or "shut 3s", which
// is shut until so long after the file was written. What is under way when it
// is shut is swallowed, as by a router that forgets; who comes then is sent off.
// "cut" is "shut" for good, and the broken connections are known to be.
type road struct {
	file, broker, addr string
	made               atomic.Int32 // connections that got through
}

// newRoad is one that is open, to b.
func newRoad(t *testing.T, b *broker) *road {
	l, err := net.Listen("tcp", "127.0.0.1:0")
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { l.Close() })
	r := &road{file: filepath.Join(t.TempDir(), "road"), broker: b.addr, addr: l.Addr().String()}
	if err := os.WriteFile(r.file, []byte("open"), 0o600); err != nil {
		t.Fatal(err)
	}
	go func() {
		for {
			c, err := l.Accept()
			if err != nil {
				return
			}
			go r.carry(c)
		}
	}()
	return r
}

func (r *road) open() bool {
	text, err := os.ReadFile(r.file)
	info, statErr := os.Stat(r.file)
	if errors.Join(err, statErr) != nil {
		return false
	}
	shut, ok := strings.CutPrefix(string(text), "shut")
	if !ok {
		return string(text) != "cut"
	}
	d, err := time.ParseDuration(strings.TrimSpace(shut))
	return err == nil && time.Since(info.ModTime()) > d
}

// carry takes what comes to the other side as long as the road is open.
func (r *road) carry(device net.Conn) {
	defer device.Close()
	if !r.open() {
		return
	}
	broker, err := net.Dial("tcp", r.broker)
	if err != nil {
		return
	}
	defer broker.Close()
	r.made.Add(1)
	go r.copy(device, broker)
	r.copy(broker, device)
}

func (r *road) copy(to, from net.Conn) {
	defer to.Close()
	defer from.Close()
	swallows := false
	for packet := make([]byte, 64<<10); ; {
		n, err := from.Read(packet)
		if text, _ := os.ReadFile(r.file); err != nil || string(text) == "cut" {
			return
		}
		if swallows = swallows || !r.open(); swallows {
			continue
		}
		if _, err := to.Write(packet[:n]); err != nil {
			return
		}
	}
}

// trialOf is a job that makes the road so, on trial.
func trialOf(id string, r *road, content, within, after string) map[string]any {
	return map[string]any{"id": id, "steps": []any{
		map[string]any{"name": "road", "retry": map[string]any{"attempts": 3},
			"config":  map[string]any{"files": []any{map[string]any{"path": r.file, "content": content}}},
			"confirm": map[string]any{"within": within}},
		map[string]any{"name": "next", "command": map[string]any{"shell": "echo next >>" + after}},
	}}
}

func TestAChangeThatCutsTheDeviceOffIsUndone(t *testing.T) {
	t.Parallel()
	for _, c := range []struct {
		name, road, within string
		want               executor.State
	}{
		{"for good", "shut", "3s", executor.Failed},
		{"for good, by a reset", "cut", "3s", executor.Failed},
		{"until a while after the trial", "shut 20s", "5s", executor.Failed},
		{"until a while before its end", "shut 4s", "30s", executor.Succeeded},
		{"not at all", "open wide", "30s", executor.Succeeded},
	} {
		t.Run(c.name, func(t *testing.T) {
			b := newBroker(t)
			r := newRoad(t, b)
			d := newDevice(t, &broker{addr: r.addr}, "").start().online(b)
			before, ran, began := r.made.Load(), filepath.Join(d.dir, "ran"), time.Now()
			b.offer("device/gw-1", trialOf("j1", r, c.road, c.within, ran))
			s := b.final("j1")
			wantState(t, s, c.want)
			t.Logf("%.1f s after the offer: %s %s", time.Since(began).Seconds(), s.State, s.Reason)
			if r.made.Load() == before {
				t.Error("what was told came over the old connection")
			}
			text, next := read(t, r.file), read(t, ran)
			if c.want == executor.Succeeded {
				if text != c.road || next != "next" {
					t.Errorf("confirmed, but the road is %q and behind it ran %q", text, next)
				}
				return
			}
			if text != "open" || next != "" {
				t.Errorf("not confirmed, but the road is %q and behind it ran %q", text, next)
			}
			why := "step road: not confirmed within " + c.within + ": no connection to the broker: "
			if !strings.HasPrefix(s.Reason, why) || !strings.HasSuffix(s.Reason, "; undone") || s.Steps[0].Attempts != 1 {
				t.Errorf("reason %q after %d attempts", s.Reason, s.Steps[0].Attempts)
			}
			within, _ := time.ParseDuration(c.within)
			if back := time.Since(began) - within; back > 30*time.Second {
				t.Errorf("the device was away for %s after its trial", back)
			}
		})
	}
}

// A broker that takes the connection and says nothing holds nothing up: the end
// of the trial ends the attempt.
func TestASilentBrokerCannotOutlastATrial(t *testing.T) {
	b := newBroker(t)
	mute, err := net.Listen("tcp", "127.0.0.1:0")
	if err != nil {
		t.Fatal(err)
	}
	defer mute.Close()
	left := make(chan bool, 10)
	go func() {
		for {
			c, err := mute.Accept()
			if err != nil {
				return
			}
			_, _ = io.Copy(io.Discard, c)
			left <- true
		}
	}()
	newDevice(t, b, "").start().online(b)
	began := time.Now()
	b.offer("device/gw-1", settingsDoc("j1", "net", "[link]\nbroker = \"tcp://"+mute.Addr().String()+"\"\n", "4s"))
	s := b.final("j1")
	wantState(t, s, executor.Failed)
	want := "no connection to the broker: tcp://" + mute.Addr().String() + " does not answer; undone"
	if !strings.HasSuffix(s.Reason, want) {
		t.Errorf("got reason %q, want %q at its end", s.Reason, want)
	}
	if took := time.Since(began); took > 25*time.Second { // for an answer it would wait half a minute
		t.Errorf("the device was back %s after the offer, want the trial's 4s and a moment", took)
	}
	select {
	case <-left:
	case <-time.After(patience):
		t.Error("the connection that was given up stands: it could still come to life")
	}
}

// A cancel that comes by the socket, for no other way is left.
func TestACancelledTrialIsUndoneAtOnce(t *testing.T) {
	b := newBroker(t)
	r := newRoad(t, b)
	d := newDevice(t, &broker{addr: r.addr}, "").start().online(b)
	b.offer("device/gw-1", trialOf("j1", r, "shut", "1h", filepath.Join(d.dir, "ran")))
	await(t, "the trial", func() bool { return d.onTrial("j1") })
	heard := func(json.RawMessage) error { return nil }
	if err := local.Call(patient(t), local.Path(d.config.Load().State), local.Request{Do: "cancel", ID: "j1"}, heard); err != nil {
		t.Fatal(err)
	}
	s := b.final("j1")
	wantState(t, s, executor.Cancelled)
	if got := read(t, r.file); got != "open" || s.Steps[0].Reason != "cancelled" {
		t.Errorf("the road is %q; step: %+v", got, s.Steps[0])
	}
}
