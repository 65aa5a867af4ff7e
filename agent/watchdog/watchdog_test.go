package watchdog

import (
	"context"
	"errors"
	"log/slog"
	"net"
	"path/filepath"
	"strings"
	"sync"
	"testing"
	"testing/synctest"
	"time"
)

// A fake agent answers, until it is told not to.
type fake struct {
	mu              sync.Mutex
	since           *time.Time
	commit, summary chan struct{} // closed: answers
}

func newFake() *fake {
	f := &fake{commit: make(chan struct{}), summary: make(chan struct{})}
	close(f.commit)
	close(f.summary)
	return f
}

func (f *fake) commits() { <-f.part(&f.commit) }
func (f *fake) says() string {
	<-f.part(&f.summary)
	return "STATUS=well"
}

func (f *fake) linking() *time.Time {
	f.mu.Lock()
	defer f.mu.Unlock()
	return f.since
}

func (f *fake) part(p *chan struct{}) chan struct{} {
	f.mu.Lock()
	defer f.mu.Unlock()
	return *p
}

// hang has a part never answer again.
func (f *fake) hang(p *chan struct{}) {
	f.mu.Lock()
	defer f.mu.Unlock()
	*p = make(chan struct{})
}

// loops take the beats of both loops, until stopped.
func (w *Watchdog) loops(ctx context.Context) {
	for {
		select {
		case <-w.Work.Beat():
		case <-w.Report.Beat():
		case <-ctx.Done():
			return
		}
	}
}

// guarded is a watchdog that guards f. limit is that of a loop; 0: as systemd says.
func guarded(t *testing.T, f *fake, limit time.Duration) (w *Watchdog, ended chan error) {
	t.Helper()
	w = New()
	w.Limit = limit
	w.Commit, w.Linking, w.Summary, w.Log = f.commits, f.linking, f.says, slog.New(slog.DiscardHandler)
	ctx, cancel := context.WithCancel(context.Background())
	ended = make(chan error, 1)
	loops := make(chan error, 1)
	go func() { ended <- w.Guard(ctx, loops) }()
	t.Cleanup(func() { loops <- nil; cancel() })
	return w, ended
}

// TestAPartThatHangsEndsTheAgent: procd has no watchdog, and starts it again when
// it ends.
func TestAPartThatHangsEndsTheAgent(t *testing.T) {
	old := time.Now().Add(-time.Hour)
	for want, hang := range map[string]func(*fake, *Watchdog){
		"the journal, the link, the schedules or the alerts do not answer": func(f *fake, _ *Watchdog) { f.hang(&f.summary) },
		"a commit to the journal does not end within 2s":                   func(f *fake, _ *Watchdog) { f.hang(&f.commit) },
		"a connection to the broker has been made or ended for 1h":         func(f *fake, _ *Watchdog) { f.mu.Lock(); f.since = &old; f.mu.Unlock() },
		"the loop that reports hangs":                                      func(_ *fake, w *Watchdog) { go beat(w.Work.Loop) },
		"the loop that runs jobs hangs":                                    func(_ *fake, w *Watchdog) { go beat(w.Report) },
	} {
		t.Run(want, func(t *testing.T) {
			t.Parallel()
			f := newFake()
			w, ended := guarded(t, f, 2*time.Second) // three of which in a row count
			if !strings.HasPrefix(want, "the loop") {
				go w.loops(t.Context())
			}
			hang(f, w)
			select {
			case err := <-ended:
				if !errors.Is(err, ErrHangs) || !strings.Contains(err.Error(), want) {
					t.Errorf("got %v", err)
				}
			case <-time.After(patience):
				t.Fatal("it hangs, and does not end")
			}
		})
	}
}

// beat takes a loop's beats for as long as a test may last.
func beat(l *Loop) {
	for end := time.After(2 * time.Minute); ; {
		select {
		case <-l.Beat():
		case <-end:
			return
		}
	}
}

// TestALoopThatWaitsForAnswersDoesNotHang: on a slow link many statuses take long.
func TestALoopThatWaitsForAnswersDoesNotHang(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		l := NewLoop()
		go func() {
			for range 8 { // one answer after another
				over := l.Await()
				time.Sleep(90 * time.Second)
				over()
			}
			<-t.Context().Done() // it hangs
		}()
		synctest.Wait()
		for range 8 {
			if !l.alive(t.Context(), time.Minute) {
				t.Fatal("it waits for an answer, and seems to hang")
			}
			time.Sleep(90 * time.Second)
		}
		time.Sleep(time.Second)
		if l.alive(t.Context(), time.Minute) {
			t.Error("it hangs, and seems to get on")
		}
	})
}

// TestOnlyTheInmostCallIsLate: a write of an image that a cancel does not end,
// and what comes behind it gets its time too.
func TestOnlyTheInmostCallIsLate(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		w := &Work{Loop: NewLoop()}
		late := func() bool { synctest.Wait(); return w.late(time.Second) != nil }
		step, cancel := context.WithCancel(t.Context())
		stepOver := w.Watch(step)
		writeOver := w.Watch(context.WithoutCancel(step))
		cancel()
		time.Sleep(time.Hour)
		if late() {
			t.Error("the write is late, which nothing ends")
		}
		writeOver()
		if time.Sleep(lateSteps * time.Second); late() {
			t.Error("the step is late, which could not end before")
		}
		if time.Sleep(time.Second); !late() {
			t.Error("the step goes on, and is not late")
		}
		if stepOver(); late() {
			t.Error("the step is over, and late")
		}
	})
}

// patience is how long a test waits for what must come.
const patience = time.Minute

// A systemd is what the agent's words to it arrive at.
type systemd struct {
	t *testing.T
	*net.UnixConn
}

// newSystemd is one that wants to hear of this process every four seconds.
func newSystemd(t *testing.T) systemd {
	t.Helper()
	path := filepath.Join(t.TempDir(), "notify")
	conn, err := net.ListenUnixgram("unixgram", &net.UnixAddr{Name: path, Net: "unixgram"})
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { conn.Close() })
	t.Setenv("NOTIFY_SOCKET", path)
	t.Setenv("WATCHDOG_USEC", "4000000")
	t.Setenv("WATCHDOG_PID", "")
	return systemd{t, conn}
}

// hears reports whether what begins with prefix came within d.
func (s systemd) hears(prefix string, d time.Duration) bool {
	s.t.Helper()
	if err := s.SetReadDeadline(time.Now().Add(d)); err != nil {
		s.t.Fatal(err)
	}
	for buffer := make([]byte, 1024); ; {
		n, err := s.Read(buffer)
		if err != nil {
			return false
		}
		if strings.HasPrefix(string(buffer[:n]), prefix) {
			return true
		}
	}
}

// drain drops what has come already.
func (s systemd) drain() { s.hears("nothing", 10*time.Millisecond) }

func TestSystemdsWatchdogIsFedAsLongAsAllGetOn(t *testing.T) {
	s := newSystemd(t)
	f := newFake()
	w, ended := guarded(t, f, 0)
	go w.loops(t.Context())
	if !s.hears("READY=1\nSTATUS=well", patience) {
		t.Fatal("systemd was not told that the agent is ready")
	}
	if !s.hears("WATCHDOG=1\nSTATUS=well", patience) {
		t.Fatal("the watchdog is not fed")
	}
	f.hang(&f.commit)
	thaw := w.Freeze()
	s.drain()
	for range 2 { // the first may have been on its way
		if !s.hears("WATCHDOG=1", patience) {
			t.Error("the firmware is flashed, which holds up every commit, and the watchdog is not fed")
		}
	}
	thaw()
	select {
	case err := <-ended:
		if !errors.Is(err, ErrHangs) {
			t.Errorf("got %v, want that it hangs", err)
		}
	case <-time.After(patience):
		t.Error("the flash is over, a commit hangs, and it goes on")
	}
}
