package step

import (
	"errors"
	"os"
	"time"

	"github.com/ratchetd/ratchet/executor/step/process"
	"golang.org/x/sys/unix"
)

// line is the two pipes between the agent and a plugin.
type line struct {
	*process.Drain
	acks   *os.File
	theirs []*os.File // the plugin's ends, its descriptors 3 and 4
	ended  chan struct{}
}

func newLine() (*line, error) {
	r3, w3, err := os.Pipe()
	if err != nil {
		return nil, err
	}
	r4, w4, err := os.Pipe()
	if err != nil {
		return nil, errors.Join(err, r3.Close(), w3.Close())
	}
	return &line{Drain: &process.Drain{File: r3}, acks: w4,
		theirs: []*os.File{w3, r4}, ended: make(chan struct{})}, nil
}

// acknowledge writes to a plugin that may not read: what does not fit into the pipe
// at once is dropped. A deadline would drop what does fit, where this goroutine is
// put aside before the write.
func (l *line) acknowledge() {
	raw, err := l.acks.SyscallConn()
	if err != nil {
		return // closed
	}
	_ = raw.Write(func(fd uintptr) bool {
		_, _ = unix.Write(int(fd), []byte("ok\n"))
		return true
	})
}

// over reports whether the plugin has ended.
func (l *line) over() bool {
	select {
	case <-l.ended:
		return true
	default:
		return false
	}
}

// hangUp is called when the plugin has ended.
func (l *line) hangUp() {
	for _, f := range l.theirs {
		f.Close()
	}
	_ = l.File.SetReadDeadline(time.Unix(1, 0)) // wakes the reader
	close(l.ended)
}

func (l *line) Close() {
	<-l.ended
	l.File.Close()
	l.acks.Close()
}
