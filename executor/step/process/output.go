package process

import (
	"context"
	"errors"
	"io"
	"os"
	"time"

	"golang.org/x/sys/unix"
)

// A Drain reads a pipe whose read deadline expires when its writer has ended. It then
// ends behind what is in the pipe: somebody who left the group may hold the other
// end, and is neither waited for nor listened to.
type Drain struct {
	File *os.File
	gone bool
	left int // bytes, once the writer is gone
}

// Read implements io.Reader.
func (d *Drain) Read(p []byte) (int, error) {
	if !d.gone {
		n, err := d.File.Read(p)
		if !errors.Is(err, os.ErrDeadlineExceeded) {
			return n, err
		}
		d.gone, d.left = true, waiting(d.File)
		_ = d.File.SetReadDeadline(time.Time{})
	}
	if d.left == 0 {
		return 0, io.EOF
	}
	n, err := d.File.Read(p[:min(len(p), d.left)])
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
		defer r.Close()                                                 // after an error of the writer's a program that writes on hears of it
		_, _ = io.CopyBuffer(to, &Drain{File: r}, make([]byte, 32<<10)) // what the writer cannot take is its own to tell
	}()
	return o, nil
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
