package telemetry

import (
	"os"
	"testing"
	"testing/synctest"
	"time"
)

func TestTheThreeLargestProcessesAreNamed(t *testing.T) {
	got, err := sampleProcesses(treeOf(board("testdata/router")))
	if err != nil {
		t.Fatal(err)
	}
	page := uint64(os.Getpagesize())
	want := []Process{{"uhttpd", 600 * page}, {"procd", 400 * page}, {"dnsmasq", 300 * page}}
	if got.Count != 5 || len(got.Top) != 3 || [3]Process(got.Top) != [3]Process(want) {
		t.Errorf("got %+v, want five and %+v", got, want)
	}
}

func TestWhatIsSlowToReadIsReadEveryFiveMinutes(t *testing.T) {
	ctx, dir := copyOf(t, "testdata/router")
	synctest.Test(t, func(t *testing.T) {
		var s Sampler
		s.Sample(ctx)
		write(t, "900 9000 1\n", dir, "proc/77/statm")
		for _, c := range []struct {
			wait time.Duration
			want int
		}{{slowEvery - time.Second, 5}, {time.Second, 6}} {
			time.Sleep(c.wait)
			if got := s.Sample(ctx).Processes.Count; got != c.want {
				t.Errorf("%s later: got %d processes, want %d", c.wait, got, c.want)
			}
		}
	})
}

func BenchmarkProcesses(b *testing.B) {
	b.ReportAllocs()
	for b.Loop() {
		if _, err := sampleProcesses(host()); err != nil {
			b.Fatal(err)
		}
	}
}
