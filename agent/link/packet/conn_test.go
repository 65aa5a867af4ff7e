package packet

import (
	"bytes"
	"encoding/binary"
	"errors"
	"io"
	"net"
	"strings"
	"testing"
	"testing/iotest"
	"testing/synctest"
	"time"
)

// A pipe reads from a reader, and takes what is written.
type pipe struct {
	net.Conn
	io.Reader
}

func (p pipe) Read(b []byte) (int, error)  { return p.Reader.Read(b) }
func (p pipe) Write(b []byte) (int, error) { return len(b), nil }

func (p pipe) SetWriteDeadline(time.Time) error { return nil }

var (
	greeting = []byte{0x20, 2, 0, 0}
	pieces   = map[string]func(io.Reader) io.Reader{
		"one byte": iotest.OneByteReader, "half": iotest.HalfReader, "all": func(r io.Reader) io.Reader { return r }, "end with the last byte": iotest.DataErrReader}
)

// Packets pass as they are, in pieces of any size, unless one is too long.
func TestLegalPacketsPassAsTheyAre(t *testing.T) {
	long := append([]byte{0x31, 0x80 | 0x02, 0x20, 0, 1, 't'}, bytes.Repeat([]byte{0x82}, 4095)...)
	topic := append([]byte{0x32, 0x80 | 0x04, 0x80 | 0x7f, 3, 0xff, 0x7e}, append(bytes.Repeat([]byte{'t'}, 0xff7e), 0, 7, 1, 2)...)
	stream := append(bytes.Clone(greeting), bytes.Repeat(bytes.Join([][]byte{long, {0xD0, 0}, topic, {0x30, 3, 0, 1, 't'}}, nil), 5)...)
	for name, cut := range pieces {
		got, err := io.ReadAll(Guard(pipe{Reader: cut(bytes.NewReader(stream))}, 1<<16))
		if err != nil || !bytes.Equal(got, stream) {
			t.Errorf("%s: got %d of %d bytes, %v", name, len(got), len(stream), err)
		}
		c := Guard(pipe{Reader: cut(bytes.NewReader(append(bytes.Clone(stream), 0x31, 0xff, 0xff, 0xff, 0x7f)))}, 1<<16)
		got, err = io.ReadAll(c)
		if v := new(Violation); !errors.As(err, &v) || !strings.Contains(err.Error(), "too long") || c.Err() != err || !bytes.Equal(got, stream) {
			t.Errorf("%s: a packet of 256 MB: got %d bytes and %v", name, len(got), err)
		}
	}
}

// hand gives c what a broker sends, and returns what came through.
func hand(t *testing.T, c *Conn, broker net.Conn, b ...byte) []byte {
	t.Helper()
	go broker.Write(b)
	got := make([]byte, len(b))
	if _, err := io.ReadFull(c, got); err != nil {
		t.Fatal(err)
	}
	return got
}

// A broker may answer to what it has read, not to what it guesses. The library
// closes a message's channel when its answer comes and when its write fails: at
// once would be a panic.
func TestAnAnswerWaitsForItsQuestion(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		ours, theirs := net.Pipe()
		c := Guard(ours, 100)
		hand(t, c, theirs, greeting...)
		message := []byte{0x32, 5, 0, 1, 't', 0, 9}
		go c.Write(message)
		synctest.Wait()
		answer := make(chan []byte, 1)
		go func() { answer <- hand(t, c, theirs, 0x40, 2, 0, 9) }()
		synctest.Wait()
		select {
		case <-answer:
			t.Fatal("the answer was there before the question")
		default:
		}
		if _, err := io.ReadFull(theirs, make([]byte, len(message))); err != nil {
			t.Fatal(err)
		}
		<-answer
		ours.Close()
	})
}

func TestAnAnswerToWhatWasNotSentIsAViolation(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		ours, theirs := net.Pipe()
		c := Guard(ours, 100)
		hand(t, c, theirs, greeting...)
		failed := make(chan error, 1)
		go func() {
			_, err := c.Write([]byte{0x82, 6, 0, 9, 0, 1, 't', 0})
			failed <- err
		}()
		synctest.Wait()
		go theirs.Write([]byte{0x90, 3, 0, 9, 0})
		_, err := c.Read(make([]byte, 1))
		if v := new(Violation); !errors.As(err, &v) {
			t.Errorf("got %v", err)
		}
		if err := <-failed; err == nil || !strings.Contains(err.Error(), "does not take in") {
			t.Errorf("a broker that does not read: got %v", err)
		}
	})
}

// A broker that resumes a session may repeat acknowledgements of messages of the
// connection before. The library would take one for the answer to whatever has
// that id now, a subscription for one.
func TestAcknowledgementsThatNothingWaitsForAreLeftOut(t *testing.T) {
	late := []byte{0x40, 2, 0, 1}
	stream := bytes.Join([][]byte{greeting, late, late, {0x90, 3, 0, 1, 1}, late, {0x40, 2, 0, 2}, {0x40, 2, 0, 2}, {0xd0, 0}, late}, nil)
	want := bytes.Join([][]byte{greeting, {0x90, 3, 0, 1, 1}, {0x40, 2, 0, 2}, {0xd0, 0}}, nil)
	for name, cut := range pieces {
		c := Guard(pipe{Reader: cut(bytes.NewReader(stream))}, 100)
		for _, ask := range [][]byte{{0x82, 6, 0, 1, 0, 1, 't', 1}, {0x32, 5, 0, 1, 't', 0, 2}} {
			if _, err := c.Write(ask); err != nil {
				t.Fatal(err)
			}
		}
		if got, err := io.ReadAll(c); err != nil || !bytes.Equal(got, want) {
			t.Errorf("%s: got %x (%v), want %x", name, got, err, want)
		}
	}
}

func TestOnlyWholePacketsWithoutQoS2AreWritten(t *testing.T) {
	for _, test := range []struct {
		b    []byte
		want error
	}{
		{[]byte{0xc0}, errPieces},
		{[]byte{0xc0, 0, 0xc0, 0}, errPieces},
		{[]byte{0x32, 5, 0, 1, 't', 0}, errPieces},
		{[]byte{0x32, 4, 0, 9, 0, 0}, errPieces},
		{[]byte{0x82, 5, 0, 1, 0, 9, 0}, errPieces},
		{[]byte{0x82, 1, 0}, errPieces},
		{[]byte{0xa2, 1, 0}, errPieces},
		{[]byte{0x82, 6, 0, 1, 0, 1, 't', 2}, errQoS2},
		{[]byte{0x34, 5, 0, 1, 't', 0, 1}, errQoS2},
		{[]byte{0xc0, 0}, nil},
		{[]byte{0x30, 3, 0, 1, 't'}, nil},
		{[]byte{0x32, 5, 0, 1, 't', 0, 1}, nil},
		{[]byte{0x82, 6, 0, 1, 0, 1, 't', 1}, nil},
		{[]byte{0xa2, 5, 0, 1, 0, 1, 't'}, nil},
	} {
		if _, err := Guard(pipe{}, 100).Write(test.b); !errors.Is(err, test.want) {
			t.Errorf("%x: got %v, want %v", test.b, err, test.want)
		}
	}
}

// What a broker does not acknowledge is kept by the library, so there may be only
// so much of it: more waits until it does, and ends the connection if it does not.
func TestWhatABrokerLeavesUnansweredIsBounded(t *testing.T) {
	for name, size := range map[string]int{"small": 1, "long": 60_000} {
		t.Run(name, func(t *testing.T) { synctest.Test(t, func(t *testing.T) { unanswered(t, size) }) })
	}
}

func unanswered(t *testing.T, size int) {
	ours, theirs := net.Pipe()
	defer ours.Close()
	go io.Copy(io.Discard, theirs)
	c := Guard(ours, 100)
	hand(t, c, theirs, greeting...)
	message := func(id int) []byte {
		b := binary.AppendUvarint([]byte{0x32}, uint64(5+size))
		return append(append(b, 0, 1, 't', byte(id>>8), byte(id)), make([]byte, size)...)
	}
	sent, failed := 0, make(chan error)
	go func() {
		for ; sent < 2000; sent++ {
			if _, err := c.Write(message(sent + 1)); err != nil {
				failed <- err
				return
			}
		}
	}()
	synctest.Wait()
	was := sent
	if was > 1000 || was*size > 2<<20 {
		t.Fatalf("%d messages of %d bytes were sent without an answer", was, size)
	}
	hand(t, c, theirs, 0x40, 2, 0, 1)
	if synctest.Wait(); sent != was+1 {
		t.Errorf("%d messages were sent behind an answer, want one", sent-was)
	}
	if err := <-failed; !strings.Contains(err.Error(), "does not acknowledge") {
		t.Errorf("got %v", err)
	}
}
