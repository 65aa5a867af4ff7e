package link

import (
	"bytes"
	"errors"
	"io"
	"net"
	"testing"
)

// A writer is never held up by a reader that takes nothing, up to the bound; then
// every byte comes, in order, and the end behind them.
func TestWhatComesIsReadBeforeItIsWanted(t *testing.T) {
	ours, theirs := net.Pipe() // holds not a byte itself
	a := readAhead(ours)
	go func() { _, _ = theirs.Write([]byte{0}) }()
	first := make([]byte, 1)
	if _, err := a.Read(first); err != nil { // reading begins with the first wish for it
		t.Fatal(err)
	}
	sent := bytes.Repeat([]byte("0123456789abcdef"), 1<<16)
	if _, err := theirs.Write(sent); err != nil {
		t.Fatal(err)
	}
	if err := theirs.Close(); err != nil {
		t.Fatal(err)
	}
	got, err := io.ReadAll(a)
	if err != nil || !bytes.Equal(got, sent) {
		t.Errorf("got %d bytes and %v, want %d", len(got), err, len(sent))
	}
}

func TestWhatNobodyTakesIsBounded(t *testing.T) {
	ours, theirs := net.Pipe()
	a := readAhead(ours)
	a.most = 1 << 20
	go func() { _, _ = a.Read(make([]byte, 1)) }()
	written := make(chan int)
	go func() {
		n := 0
		for piece := make([]byte, 64<<10); ; {
			more, err := theirs.Write(piece)
			if n += more; err != nil {
				written <- n
				return
			}
		}
	}()
	a.mu.Lock()
	for a.held <= a.most {
		a.moved.Wait()
	}
	a.mu.Unlock()
	if err := a.Close(); err != nil {
		t.Fatal(err)
	}
	if n := <-written; n > 2<<20 {
		t.Errorf("%d bytes were taken, at most %d should wait", n, a.most)
	}
	if _, err := io.ReadAll(a); err != nil && !errors.Is(err, io.ErrClosedPipe) && !errors.Is(err, net.ErrClosed) {
		t.Error(err)
	}
}
