package step

import (
	"errors"
	"io"
	"os"
	"time"

	"golang.org/x/sys/unix"
)

// line is the two pipes between the agent and a plugin.
type line struct {
	*draining
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
	return &line{draining: &draining{file: r3}, acks: w4,
		theirs: []*os.File{w3, r4}, ended: make(chan struct{})}, nil
}

// acknowledge writes to a plugin that may not read.
func (l *line) acknowledge() {
	_ = l.acks.SetWriteDeadline(time.Now().Add(time.Millisecond))
	_, _ = l.acks.WriteString("ok\n")
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
	_ = l.file.SetReadDeadline(time.Unix(1, 0)) // wakes the reader
	close(l.ended)
}

func (l *line) Close() {
	<-l.ended
	l.file.Close()
	l.acks.Close()
}

// draining reads a pipe whose read deadline expires when its writer has ended.
// It then ends behind what is in the pipe: somebody who left the group may hold
// the other end, and is neither waited for nor listened to.
type draining struct {
	file *os.File
	gone bool
	left int // bytes, once the writer is gone
}

func (d *draining) Read(p []byte) (int, error) {
	if !d.gone {
		n, err := d.file.Read(p)
		if !errors.Is(err, os.ErrDeadlineExceeded) {
			return n, err
		}
		d.gone, d.left = true, waiting(d.file)
		_ = d.file.SetReadDeadline(time.Time{})
	}
	if d.left == 0 {
		return 0, io.EOF
	}
	n, err := d.file.Read(p[:min(len(p), d.left)])
	d.left -= n
	return n, err
}

// waiting is how many bytes a pipe holds.
func waiting(pipe *os.File) (n int) {
	raw, err := pipe.SyscallConn()
	if err != nil {
		return 0
	}
	_ = raw.Control(func(fd uintptr) { n, _ = unix.IoctlGetInt(int(fd), unix.TIOCINQ) })
	return n
}
