package process

import (
	"context"
	"errors"
	"io"
	"os"
	"time"

	"golang.org/x/sys/unix"
)

// An output brings what a program writes into one pipe to a writer. Package os/exec
// has the same, but drops what lies in the pipe when its time is over: on a busy
// board that was all that a program had said.
type output struct {
	r, w *os.File
	done chan struct{} // closed when all was brought
}

// newOutput begins to bring to that writer what is written to w.
func newOutput(to io.Writer) (*output, error) {
	r, w, err := os.Pipe()
	if err != nil {
		return nil, err
	}
	o := &output{r: r, w: w, done: make(chan struct{})}
	go func() {
		defer close(o.done)
		defer r.Close() // after an error of the writer's a program that writes on hears of it
		buf := make([]byte, 32<<10)
		_, err := io.CopyBuffer(to, struct{ io.Reader }{r}, buf)
		if errors.Is(err, os.ErrDeadlineExceeded) {
			o.rest(to, buf)
		}
	}()
	return o, nil
}

// rest brings what lies in the pipe at this moment, and waits for nothing.
func (o *output) rest(to io.Writer, buf []byte) {
	raw, err := o.r.SyscallConn()
	if err != nil || o.r.SetReadDeadline(time.Time{}) != nil {
		return
	}
	left := 0
	_ = raw.Control(func(fd uintptr) { left, err = unix.IoctlGetInt(int(fd), unix.TIOCINQ) })
	for err == nil && left > 0 {
		n := 0
		_ = raw.Read(func(fd uintptr) bool {
			n, err = unix.Read(int(fd), buf[:min(left, len(buf))])
			return true
		})
		if n <= 0 {
			return
		}
		left -= n
		if _, err := to.Write(buf[:n]); err != nil {
			return
		}
	}
}

// end is for when the program has ended: what it wrote is brought, and what others
// who hold the pipe open write within drain. A writer that hangs is waited for as
// long as ctx lasts.
func (o *output) end(ctx context.Context) {
	_ = o.r.SetReadDeadline(time.Now().Add(drain)) // closed: all was brought
	select {
	case <-o.done:
		return
	case <-ctx.Done():
	}
	select {
	case <-o.done:
	case <-time.After(drain + Grace):
	}
}

// outputs are those of one program, whose standard error may go where its output does.
type outputs struct {
	stdout, stderr io.Writer // for exec.Cmd
	all            []*output
}

func (p *Program) outputs() (list outputs, err error) {
	if list.stdout, err = list.add(p.Stdout); err != nil {
		return list, err
	}
	if list.stderr = list.stdout; !same(p.Stdout, p.Stderr) {
		list.stderr, err = list.add(p.Stderr)
	}
	if err != nil {
		list.close()
	}
	return list, err
}

// add is what a program is to be given for a writer: files are given as they are.
func (l *outputs) add(to io.Writer) (io.Writer, error) {
	if _, isFile := to.(*os.File); isFile || to == nil {
		return to, nil
	}
	o, err := newOutput(to)
	if err != nil {
		return nil, err
	}
	l.all = append(l.all, o)
	return o.w, nil
}

// close closes this process's ends for writing: the program has its own.
func (l *outputs) close() {
	for _, o := range l.all {
		_ = o.w.Close() // nothing was written by this process
	}
}

func (l *outputs) end(ctx context.Context) {
	for _, o := range l.all {
		o.end(ctx)
	}
}

// same reports whether two writers are one; those that cannot be compared are not.
func same(a, b io.Writer) bool {
	defer func() { _ = recover() }()
	return a == b
}
