package step

import (
	"bufio"
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"os"
	"syscall"
	"time"

	"github.com/ratchetd/ratchet/executor"
)

const (
	maxPluginLine  = 64 << 10
	maxPluginState = 16 << 10 // of what it saves, which is written to flash each time
	freeSaves      = 10       // of one call; those that follow are at least savePause apart
	savePause      = time.Second
)

// calling is one attempt at a plugin step.
type calling struct {
	Plugin
	t     *executor.Task
	with  pluginWith
	path  string
	state json.RawMessage // that it saved last; nil is none

	saves   int  // in this call
	unsaved bool // state came when the plugin had ended already
}

// pluginInput is what a plugin reads on its standard input.
type pluginInput struct {
	Job     string          `json:"job"`
	Step    string          `json:"step"`
	Attempt int             `json:"attempt"`
	With    json.RawMessage `json:"with"`
	State   json.RawMessage `json:"state"`
}

// pluginLine is what a plugin may write to descriptor 3, one or more fields a
// line.
type pluginLine struct {
	Progress *float64        `json:"progress"`
	Output   string          `json:"output"`
	Result   json.RawMessage `json:"result"`
	State    json.RawMessage `json:"state"`
}

// call runs the plugin once and does what it asks for on the way.
func (c *calling) call(ctx context.Context, verb string) (syscall.WaitStatus, error) {
	p, err := c.process(verb)
	if err != nil {
		return 0, err
	}
	l, err := newLine()
	if err != nil {
		return 0, err
	}
	ctx, cancel := context.WithCancel(ctx)
	var status syscall.WaitStatus
	var died error
	go func() {
		status, died = p.runWith(ctx, l.theirs...)
		l.hangUp()
	}()
	defer func() { // also when a Save panics, as the suite's do
		cancel()
		l.close()
	}()
	c.saves, c.unsaved = 0, false
	if err := c.listen(ctx, l); err != nil {
		return 0, err
	}
	<-l.ended
	return status, died
}

func (c *calling) process(verb string) (*process, error) {
	stdin, err := json.Marshal(pluginInput{c.t.Job, c.t.Step, c.t.Attempt, c.with.With, c.state})
	if err != nil {
		return nil, err
	}
	who, err := identify("")
	if err != nil {
		return nil, err
	}
	return &process{
		argv: []string{c.path, verb}, env: environ(c.t, who, nil), stdin: string(stdin) + "\n",
		stdout: c.t.Output, stderr: c.t.Err, groups: c.Groups, log: c.t.Log,
	}, nil
}

// listen takes lines until the plugin has ended and all that it wrote is read.
func (c *calling) listen(ctx context.Context, l *line) error {
	scan := bufio.NewScanner(l)
	scan.Buffer(make([]byte, 4<<10), maxPluginLine)
	for n := 1; scan.Scan(); n++ {
		if err := c.take(ctx, l, scan.Bytes()); err != nil {
			return fmt.Errorf("line %d that the plugin %s wrote to descriptor 3: %w", n, c.with.Name, err)
		}
	}
	switch err := scan.Err(); {
	case errors.Is(err, bufio.ErrTooLong):
		return fmt.Errorf("the plugin %s wrote a line to descriptor 3 that is longer than %d KiB", c.with.Name, maxPluginLine>>10)
	case err != nil:
		return err
	case c.unsaved:
		return c.t.Save(c.state)
	}
	return nil
}

func (c *calling) take(ctx context.Context, l *line, text []byte) error {
	var said pluginLine
	if err := executor.Decode(text, &said); err != nil {
		return err
	}
	if said.Output != "" {
		fmt.Fprintln(c.t.Output, said.Output)
	}
	if said.Progress != nil {
		c.t.Progress(*said.Progress)
	}
	if said.Result != nil {
		c.t.Result = said.Result
	}
	if said.State == nil {
		return nil
	}
	return c.save(ctx, l, said.State)
}

// save makes the plugin's state durable and then tells it so. One that floods
// is held back: it waits for the pipe, as for a slow disk.
func (c *calling) save(ctx context.Context, l *line, state json.RawMessage) error {
	if len(state) > maxPluginState {
		return fmt.Errorf("a state of %d bytes: at most %d are kept", len(state), maxPluginState)
	}
	c.state = state
	if c.saves++; c.saves > freeSaves && !l.over() {
		if err := sleep(ctx, l.ended, savePause); err == context.Cause(ctx) && err != nil {
			return err
		}
	}
	if c.unsaved = l.over(); c.unsaved {
		return nil // nobody waits any more: the last one will do
	}
	if err := c.t.Save(state); err != nil {
		return err
	}
	l.acknowledge()
	return nil
}

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
	return &line{draining: &draining{file: r3, left: maxPluginLine}, acks: w4,
		theirs: []*os.File{w3, r4}, ended: make(chan struct{})}, nil
}

// acknowledge writes to a plugin that may not read.
func (l *line) acknowledge() {
	_ = l.acks.SetWriteDeadline(time.Now().Add(time.Millisecond))
	_, _ = l.acks.WriteString("ok\n")
}

// over tells whether the plugin has ended.
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
	_ = l.file.SetReadDeadline(time.Unix(1, 0))
	close(l.ended)
}

func (l *line) close() {
	<-l.ended
	l.file.Close()
	l.acks.Close()
}

// draining reads a pipe whose read deadline expires when its writer has ended.
// What is in it by then is still read; but somebody who left the group may hold
// it open, and is not waited for.
type draining struct {
	file *os.File
	left int // bytes that are read after the end: what a pipe can hold
}

func (d *draining) Read(p []byte) (int, error) {
	n, err := d.file.Read(p)
	if !errors.Is(err, os.ErrDeadlineExceeded) || d.left == 0 {
		return n, eof(err)
	}
	_ = d.file.SetReadDeadline(time.Now().Add(poll))
	n, err = d.file.Read(p[:min(len(p), d.left)])
	_ = d.file.SetReadDeadline(time.Unix(1, 0))
	d.left -= n
	return n, eof(err)
}

func eof(err error) error {
	if errors.Is(err, os.ErrDeadlineExceeded) {
		return io.EOF
	}
	return err
}
