package main

import (
	"bytes"
	"encoding/binary"
	"io"
	"math/rand/v2"
	"net"
	"path/filepath"
	"testing"
)

func TestADiskKeepsWhatWasFlushedAndForcedThrough(t *testing.T) {
	for _, p := range policies {
		random := rand.New(rand.NewPCG(1, 1))
		kept := map[byte]int{}
		for range 200 {
			d := newDisk(make([]byte, 8*page))
			put := func(at int64, b byte, n int, through bool) {
				if err := d.write(at, bytes.Repeat([]byte{b}, n), through); err != nil {
					t.Fatal(err)
				}
			}
			put(0, 'f', page, false)
			d.flush()
			put(page, 't', page, true)
			put(2*page, 'w', 2*page, false)
			d.cut(p, random)
			got, err := d.read(0, 4*page)
			if err != nil {
				t.Fatal(err)
			}
			if got[0] != 'f' || got[page] != 't' {
				t.Fatalf("%s: what was flushed or forced is lost", p)
			}
			for _, at := range []int{2 * page, 3 * page} {
				kept[got[at]]++
			}
			if p != torn && got[2*page] != got[3*page] {
				t.Fatalf("%s tears", p)
			}
		}
		switch n := kept['w']; {
		case p == all && n != 400, p == flushed && n != 0, (p == subset || p == torn) && (n < 100 || n > 300):
			t.Errorf("%s: %d of 400 pages were kept", p, n)
		}
	}
}

func TestADiskThatLiesKeepsNothingForSure(t *testing.T) {
	d := newDisk(make([]byte, page))
	d.lies = true
	if err := d.write(0, []byte("text"), true); err != nil {
		t.Fatal(err)
	}
	d.flush()
	d.cut(flushed, rand.New(rand.NewPCG(1, 1)))
	if got, err := d.read(0, 4); err != nil || !bytes.Equal(got, make([]byte, 4)) {
		t.Errorf("got %q, %v", got, err)
	}
}

func TestAClientReadsWhatItWroteThroughTheProtocol(t *testing.T) {
	d := newDisk(make([]byte, 2*page))
	l, err := net.Listen("unix", filepath.Join(t.TempDir(), "nbd"))
	if err != nil {
		t.Fatal(err)
	}
	defer l.Close()
	go serve(l, map[string]export{"data": d})
	c, err := net.Dial("unix", l.Addr().String())
	if err != nil {
		t.Fatal(err)
	}
	defer c.Close()
	send := func(v ...any) {
		for _, each := range v {
			if err := binary.Write(c, binary.BigEndian, each); err != nil {
				t.Fatal(err)
			}
		}
	}
	take := func(n int) []byte {
		b := make([]byte, n)
		if _, err := io.ReadFull(c, b); err != nil {
			t.Fatal(err)
		}
		return b
	}
	take(8 + 8 + 2)
	send(uint32(1))
	send(uint64(nbdHaveOpt), uint32(8), uint32(0)) // structured replies, which it does not have
	if got := binary.BigEndian.Uint32(take(20)[12:]); got != repUnsupported {
		t.Errorf("got reply %#x", got)
	}
	send(uint64(nbdHaveOpt), uint32(optGo), uint32(4+4+2), uint32(4), []byte("data"), uint16(0))
	info := take(20 + 12)
	if got := binary.BigEndian.Uint64(info[22:]); got != 2*page {
		t.Errorf("got a size of %d", got)
	}
	take(20)
	request := func(flags, cmd uint16, at uint64, n uint32, text []byte) (code uint32) {
		send(uint32(nbdRequest), flags, cmd, uint64(7), at, n, text)
		return binary.BigEndian.Uint32(take(16)[4:])
	}
	if code := request(flagFUA, cmdWrite, 100, 4, []byte("text")); code != 0 {
		t.Errorf("write: got %d", code)
	}
	if code := request(0, cmdRead, 100, 4, nil); code != 0 || string(take(4)) != "text" {
		t.Errorf("read: got %d", code)
	}
	if code := request(0, cmdFlush, 0, 0, nil); code != 0 || d.flushes != 1 {
		t.Errorf("flush: got %d", code)
	}
	if code := request(0, cmdRead, 2*page, 1, nil); code != errInput {
		t.Errorf("a read past the end: got %d", code)
	}
}
