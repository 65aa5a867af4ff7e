package step

import (
	"bufio"
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"syscall"
	"time"

	"github.com/ratchetd/ratchet/executor"
	"github.com/ratchetd/ratchet/executor/step/process"
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
	p.Files = l.theirs
	ctx, cancel := context.WithCancel(ctx)
	var status syscall.WaitStatus
	var died error
	go func() {
		status, died = p.Run(ctx)
		l.hangUp()
	}()
	defer func() { // also when a Save panics, as the suite's do
		cancel()
		l.Close()
	}()
	c.saves, c.unsaved = 0, false
	err = c.listen(ctx, l)
	if err != nil && !l.over() {
		return 0, err // its end is the agent's doing
	}
	<-l.ended
	if died == nil && process.Judge(status, []int{0}) == nil {
		died = err
	}
	return status, died
}

func (c *calling) process(verb string) (*process.Program, error) {
	stdin, err := json.Marshal(pluginInput{c.t.Job, c.t.Step, c.t.Attempt, c.with.With, c.state})
	if err != nil {
		return nil, err
	}
	who, err := process.Identify("")
	if err != nil {
		return nil, err
	}
	return &process.Program{
		Argv: []string{c.path, verb}, Env: process.Environ(c.t, who, nil), Stdin: string(stdin) + "\n",
		Stdout: c.t.Output, Stderr: c.t.Err, Groups: c.Groups, Log: c.t.Log,
	}, nil
}

// listen takes lines until the plugin has ended and all that it wrote is read.
func (c *calling) listen(ctx context.Context, l *line) error {
	scan := bufio.NewScanner(l)
	scan.Buffer(make([]byte, 4<<10), maxPluginLine)
	for n := 1; scan.Scan(); n++ {
		if err := c.handleLine(ctx, l, scan.Bytes()); err != nil {
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

func (c *calling) handleLine(ctx context.Context, l *line, text []byte) error {
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
		if err := executor.Sleep(ctx, l.ended, savePause); err == context.Cause(ctx) && err != nil {
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
