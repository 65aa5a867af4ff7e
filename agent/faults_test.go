package agent

import (
	"errors"
	"net"
	"path/filepath"
	"strings"
	"sync/atomic"
	"testing"
	"time"

	"github.com/mochi-mqtt/server/v2/packets"

	"github.com/ratchetd/ratchet/executor"
	"github.com/ratchetd/ratchet/store"
)

// A proxy whose broker is down takes connections and ends them. That is no other
// device with the same id.
func TestABrokerThatFallsIsNoFight(t *testing.T) {
	t.Parallel()
	l, err := net.Listen("tcp", "127.0.0.1:0")
	if err != nil {
		t.Fatal(err)
	}
	defer l.Close()
	var tries atomic.Int32
	go func() {
		for {
			c, err := l.Accept()
			if err != nil {
				return
			}
			tries.Add(1)
			c.Close()
		}
	}()
	d := newDevice(t, &broker{t: t, addr: l.Addr().String()}, "").start()
	await(t, "eight attempts", func() bool { // five that a broker ends make a fight
		d.link.Redial()
		return tries.Load() >= 8
	})
	if d.alerted("duplicate-id") {
		t.Error("a proxy without a broker behind it raises duplicate-id")
	}
}

// A faulty journal has a disk that is full, or slow.
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

func TestACancelWorksOnAFullDisk(t *testing.T) {
	b := newBroker(t)
	d := newDevice(t, b, "")
	d.wrap = func(j Journal) Journal { return faulty{Journal: j, cancel: errors.New("no space left on device")} }
	d.start().online(b)
	b.offer("device/gw-1", script("j1", "sleep 600"))
	b.await(jobsTopic+"j1", func(p string) bool { return statusOf(p).State == executor.Running })
	b.offer("device/gw-1", `{"id":"j1","cancel":true}`)
	wantState(t, b.final("j1"), executor.Cancelled)
}

// What came is decided before a quiet counts, however long that takes.
func TestASlowDiskDoesNotEndTheQuiet(t *testing.T) {
	b := newBroker(t)
	d := newDevice(t, b, "")
	file := filepath.Join(d.dir, "ran")
	b.offer("device/gw-1", doc("j1", file, "a"))
	b.offer("group/routers", doc("j2", file, "b"))
	b.offer("all", `{"id":"j1","cancel":true}`)
	d.wrap = func(j Journal) Journal { return faulty{Journal: j, accept: 3 * time.Second} } // more than a quiet lasts
	d.start()
	wantState(t, b.final("j1"), executor.Cancelled)
	wantState(t, b.final("j2"), executor.Succeeded)
	if got := read(t, file); got != "b" {
		t.Errorf("ran %q: a cancel that had already been received came too late", got)
	}
}

func TestALostAckIsMadeUpFor(t *testing.T) {
	b := newBroker(t)
	var lost atomic.Bool
	b.bend(&bend{read: func(p packets.Packet) packets.Packet {
		if p.FixedHeader.Type == packets.Publish && p.TopicName == jobsTopic+"j1" && strings.Contains(string(p.Payload), "succeeded") && !lost.Swap(true) {
			return packets.Packet{FixedHeader: packets.FixedHeader{Type: packets.Pingreq}}
		}
		return p
	}})
	d := newDevice(t, b, "").start().online(b)
	b.offer("device/gw-1", doc("j1", filepath.Join(d.dir, "ran"), "a"))
	wantState(t, b.final("j1"), executor.Succeeded)
	if !lost.Load() {
		t.Error("the broker has lost nothing")
	}
	await(t, "the device to know that it was taken", func() bool {
		untold, err := d.db.Untold()
		return err == nil && len(untold) == 0
	})
}
