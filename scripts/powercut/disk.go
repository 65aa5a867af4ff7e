package main

import (
	"bytes"
	"fmt"
	"math/rand/v2"
	"sync"
)

// A write is one that the device has acknowledged and may still lose.
type write struct {
	at   int64
	text []byte
	kept bool // it was forced through the cache (FUA)
}

// A disk has a volatile write cache: what was not flushed is lost with the power,
// whole, in part, or in another order than it was written.
type disk struct {
	lies bool // it says that it flushed, and keeps nothing

	mu      sync.Mutex
	now     []byte // as a reader sees it
	durable []byte // as the last flush left it
	waiting []write
	written int64 // bytes
	flushes int
	base    []byte        // as it was when ops began to be kept
	ops     []op          // kept since
	seen    func() int    // how many events there are; nil: ops are not kept
	left    int           // writes and flushes until struck is closed; below zero: never
	struck  chan struct{} // closed at the operation at which the power is to fail
}

func newDisk(image []byte) *disk {
	return &disk{now: image, durable: bytes.Clone(image), left: -1}
}

func (d *disk) size() int64 { return int64(len(d.now)) }

func (d *disk) read(at int64, n int) ([]byte, error) {
	d.mu.Lock()
	defer d.mu.Unlock()
	if at < 0 || at+int64(n) > d.size() {
		return nil, fmt.Errorf("%d bytes at %d are not on the disk", n, at)
	}
	return bytes.Clone(d.now[at : at+int64(n)]), nil
}

func (d *disk) write(at int64, text []byte, through bool) error {
	d.mu.Lock()
	defer d.mu.Unlock()
	if at < 0 || at+int64(len(text)) > d.size() {
		return fmt.Errorf("%d bytes at %d are not on the disk", len(text), at)
	}
	d.count()
	copy(d.now[at:], text)
	d.written += int64(len(text))
	w := write{at, bytes.Clone(text), through && !d.lies}
	d.waiting = append(d.waiting, w)
	d.log(op{write: w})
	return nil
}

func (d *disk) flush() {
	d.mu.Lock()
	defer d.mu.Unlock()
	d.count()
	d.flushes++
	d.log(op{flush: true})
	if d.lies {
		return
	}
	for _, w := range d.waiting {
		copy(d.durable[w.at:], w.text)
	}
	d.waiting = nil
}

// count counts one operation on the way to the one at which the power fails.
func (d *disk) count() {
	if d.left < 0 {
		return
	}
	if d.left--; d.left < 0 {
		close(d.struck)
	}
}

// strike returns a channel that is closed n operations after aim is called.
func (d *disk) strike() <-chan struct{} {
	d.mu.Lock()
	defer d.mu.Unlock()
	d.struck = make(chan struct{})
	return d.struck
}

// aim has the channel closed n operations from now.
func (d *disk) aim(n int) {
	d.mu.Lock()
	defer d.mu.Unlock()
	d.left = n
}

// A policy is what a disk makes of what it has not flushed.
type policy string

const (
	all     policy = "all"     // kept: only what the kernel had not written is lost
	flushed policy = "flushed" // lost
	subset  policy = "subset"  // any of the writes, which is any order too
	torn    policy = "torn"    // any page of any of the writes
)

var policies = []policy{all, flushed, subset, torn}

// page is what is never torn: ext4's superblock of 1 KiB lies in one.
const page = 4096

// cut is the power failing: the disk comes back with what the policy left of it.
func (d *disk) cut(p policy, random *rand.Rand) {
	d.mu.Lock()
	defer d.mu.Unlock()
	for _, w := range d.waiting {
		for piece := range w.pieces(p) {
			if w.kept || p == all || p != flushed && random.IntN(2) == 0 {
				copy(d.durable[piece.at:], piece.text)
			}
		}
	}
	d.waiting, d.left = nil, -1
	copy(d.now, d.durable)
}

// pieces are the parts of a write that survive or are lost each by itself.
func (w write) pieces(p policy) func(func(write) bool) {
	return func(yield func(write) bool) {
		for at, text := w.at, w.text; len(text) > 0; {
			n := len(text)
			if p == torn {
				n = min(n, int(page-at%page))
			}
			if !yield(write{at: at, text: text[:n]}) {
				return
			}
			at, text = at+int64(n), text[n:]
		}
	}
}

// keep keeps all ops from now on, each with how many events had been seen before.
func (d *disk) keep(seen func() int) {
	d.mu.Lock()
	defer d.mu.Unlock()
	d.base, d.seen = bytes.Clone(d.now), seen
}

func (d *disk) log(o op) {
	if d.seen != nil {
		o.seen = d.seen()
		d.ops = append(d.ops, o)
	}
}

// recorded are the ops that were kept.
func (d *disk) recorded() []op {
	d.mu.Lock()
	defer d.mu.Unlock()
	return d.ops
}

// replay does an op of another disk again.
func (d *disk) replay(o op) {
	if o.flush {
		d.flush()
		return
	}
	_ = d.write(o.at, o.text, o.kept) // it was on the other disk, which has the same size
}

// after is what the policy would leave, were the power to fail now.
func (d *disk) after(p policy, random *rand.Rand) []byte {
	c := &disk{durable: bytes.Clone(d.durable), waiting: d.waiting, now: nil}
	c.cut(p, random)
	return c.durable
}
