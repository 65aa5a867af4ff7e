package report

import (
	"strings"
	"testing"
	"testing/synctest"
	"time"

	"github.com/ratchetd/ratchet/executor"
)

// A step that floods costs one wake a second and a few messages, and whoever
// reads can tell where something is missing.
func TestLiveOutputIsThrottled(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		r := New()
		var messages, bytes, wakes, last int
		for i := range 20_000 { // ten seconds of 2000 lines each
			r.Live(executor.Live{Key: "j", Job: "j", Step: "s", Attempt: 1, Stream: "stdout", Text: strings.Repeat("x", 99) + "\n"})
			if i%4 == 3 {
				time.Sleep(2 * time.Millisecond)
				synctest.Wait()
			}
			select {
			case <-r.signal:
			default:
				continue
			}
			wakes++
			for _, l := range r.nextDue().lines {
				messages, bytes = messages+1, bytes+len(l.Text)
				if l.Seq <= last {
					t.Errorf("seq %d follows %d", l.Seq, last)
				}
				last = l.Seq
			}
		}
		if wakes < 10 || wakes > 12 || messages > 6*wakes || bytes > wakes*maxLines {
			t.Errorf("%d wakes, %d messages, %d bytes in ten seconds", wakes, messages, bytes)
		}
		if last <= messages {
			t.Errorf("the last seq is %d of %d messages: what was dropped left no gap", last, messages)
		}
	})
}

// What one step said last is told soon, though nothing follows it.
func TestTheLastOfLiveOutputIsTold(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		r := New()
		for _, stream := range []string{"stdout", "stdout", "stderr", "stdout"} {
			r.Live(executor.Live{Key: "j", Job: "j", Step: "s", Attempt: 1, Stream: stream, Text: stream + "\n"})
			if stream == "stderr" { // as if it were told in between
				<-r.signal
				if got := r.nextDue().lines; len(got) != 2 || got[0].Text != "stdout\nstdout\n" || got[0].Seq != 1 || got[1].Seq != 2 {
					t.Errorf("got %+v, want both of stdout in one, then stderr", got)
				}
			}
		}
		time.Sleep(liveEvery)
		<-r.signal
		if got := r.nextDue().lines; len(got) != 1 || got[0].Seq != 3 {
			t.Errorf("got %+v, want the last line", got)
		}
	})
}
