package process

import (
	"bytes"
	"os"
	"strings"
	"sync"
	"syscall"
	"testing"
	"time"
)

// A slow writer takes its first piece only when the program is long over.
type slow struct {
	mu    sync.Mutex
	taken bytes.Buffer
	once  sync.Once
}

func (s *slow) Write(p []byte) (int, error) {
	s.once.Do(func() { time.Sleep(drain + drain/4) }) // the longer the surer
	s.mu.Lock()
	defer s.mu.Unlock()
	return s.taken.Write(p)
}

func (s *slow) text() string {
	s.mu.Lock()
	defer s.mu.Unlock()
	return s.taken.String()
}

// What a program wrote before it ended is its output, however late this process gets
// to it; whoever holds the pipe open after that is not waited for.
func TestNoOutputOfAProgramThatEndedIsLost(t *testing.T) {
	t.Parallel()
	for name, script := range map[string]string{
		"it alone":         `echo first; head -c 60000 /dev/zero | tr '\0' x; echo last`,
		"beside a daemon":  `echo first; head -c 60000 /dev/zero | tr '\0' x; sleep 600 & echo last; echo $! >&3`,
		"beside a speaker": `echo first; head -c 60000 /dev/zero | tr '\0' x; echo last; while :; do echo more; done & echo $! >&3`,
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			pid, err := os.CreateTemp(t.TempDir(), "")
			if err != nil {
				t.Fatal(err)
			}
			defer pid.Close()
			s := &slow{}
			p := Program{Argv: []string{"/bin/sh", "-c", script}, Env: []string{"PATH=" + os.Getenv("PATH")}, Stdout: s, Stderr: s, Files: []*os.File{pid}}
			status, err := p.Run(t.Context())
			if err != nil || status.ExitStatus() != 0 {
				t.Fatal(status, err)
			}
			if got := s.text(); !strings.HasPrefix(got, "first\nxxx") || !strings.Contains(got, "xlast\n") || strings.Count(got, "x") != 60000 {
				t.Errorf("got %d bytes, %d of them x, want first, 60000 x and last", len(got), strings.Count(got, "x"))
			}
			if text, _ := os.ReadFile(pid.Name()); len(text) > 0 {
				killNoted(t, string(text))
			}
		})
	}
}

func killNoted(t *testing.T, noted string) {
	t.Helper()
	pid := 0
	for _, c := range strings.TrimSpace(noted) {
		pid = pid*10 + int(c-'0')
	}
	if err := syscall.Kill(pid, syscall.SIGKILL); err != nil && err != syscall.ESRCH {
		t.Error(err)
	}
}
