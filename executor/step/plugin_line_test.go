package step

import (
	"io"
	"testing"
)

func TestNoAcknowledgementIsLostOnABusyMachine(t *testing.T) {
	stop := make(chan struct{})
	defer close(stop)
	for range 3 { // whoever acknowledges is often put aside for a while
		go func() {
			for stopped := false; !stopped; {
				select {
				case <-stop:
					stopped = true
				default:
				}
			}
		}()
	}
	l, err := newLine()
	if err != nil {
		t.Fatal(err)
	}
	const times = 20_000
	got := make(chan int, 1)
	go func() {
		text, _ := io.ReadAll(l.theirs[1]) // until the other end is closed
		got <- len(text) / len("ok\n")
	}()
	for range times { // all of it fits into the pipe
		l.acknowledge()
	}
	l.acks.Close()
	if n := <-got; n != times {
		t.Errorf("%d of %d acknowledgements arrived: a plugin that waits for one waits for ever", n, times)
	}
	l.hangUp()
	l.Close()
}

func TestAPluginThatReadsNoAcknowledgementHoldsNothingUp(t *testing.T) {
	l, err := newLine()
	if err != nil {
		t.Fatal(err)
	}
	for range 32 << 10 { // more than the pipe takes
		l.acknowledge()
	}
	l.hangUp()
	l.Close()
}
