// Package process runs programs for steps: each in a process group, and where the
// kernel has them a control group, of its own, with a clean environment, and with the
// promise that nothing of one that did not end well outlives the step, nor the agent.
//
// It judges nothing about whether a program may be run: that is package policy's.
package process

import (
	"context"
	"fmt"
	"io"
	"log/slog"
	"os"
	"os/exec"
	"strings"
	"syscall"
	"time"
)

const (
	Grace = 5 * time.Second        // between SIGTERM and SIGKILL
	drain = 2 * time.Second        // for what left the group and holds a pipe open, or does not read its input
	poll  = 100 * time.Millisecond // while a group goes down
)

// Program is a program to be run in a group of its own. It dies with the step
// and, by parent-death signal and Groups, with the agent.
type Program struct {
	Argv, Env      []string
	Dir, Stdin     string
	in             io.Reader // in stdin's stead
	Nice           int
	As             *syscall.Credential
	Stdout, Stderr io.Writer
	Files          []*os.File // its descriptors 3 and up; they stay open here
	OKCodes        []int      // with which it ends well; none is 0 alone
	Groups         Groups
	Log            *slog.Logger
}

// Run returns how the process ended, or the cause of ctx when that ended it. Unless
// it ended well nothing of what it has started is left; what has then stays, for a
// program may start a daemon. One that waits in the kernel for a disk that is gone cannot
// be killed: it is left behind, and the error says so.
func (p *Program) Run(ctx context.Context) (syscall.WaitStatus, error) {
	if _, err := p.command(); err != nil {
		return 0, err
	}
	if ctx.Err() != nil {
		return 0, context.Cause(ctx)
	}
	r := &running{Program: p, started: make(chan error, 1), exited: make(chan struct{})}
	var err error
	if r.says, err = p.outputs(); err != nil {
		return 0, err
	}
	if p.Groups.Control != "" {
		if r.in, err = newCgroup(p.Groups.Control); err != nil {
			r.in = nil
			p.warn("no control group: a child that leaves the process group may outlive its step", err)
		}
	}
	stuck := false
	defer func() {
		if !stuck {
			r.in.leave()
		}
	}()
	go r.hold()
	err = <-r.started
	r.says.close()
	if err != nil {
		r.says.end(ctx) // nobody writes there any more, nor does this process
		return 0, startError(r.cmd.Path, err)
	}
	group := r.cmd.Process.Pid
	if err := p.Groups.add(group, r.in, p.Env); err != nil {
		p.warn("the process group is not noted: if the agent is killed, its children may live on", err)
	}
	err = r.await(ctx)
	if stuck = err != nil && !r.dies(); stuck {
		r.endAll()
		r.says.end(ctx)
		go r.bury()
		return 0, fmt.Errorf("%w; process %d cannot be killed and is left behind: it waits for a disk or a server that does not answer", err, group)
	}
	<-r.exited
	// The leader is not yet reaped, so that its id is still this group's.
	if err != nil || !r.well {
		r.endAll()
	}
	p.Groups.Remove(group)
	waited := r.cmd.Wait() // its error is in ProcessState too, or of a pipe that somebody holds
	r.says.end(ctx)
	if r.cmd.ProcessState == nil {
		return 0, waited
	}
	return r.cmd.ProcessState.Sys().(syscall.WaitStatus), err
}

func (p *Program) warn(text string, err error) {
	if p.Log != nil {
		p.Log.Warn(text, "err", err)
	}
}

func (p *Program) command() (*exec.Cmd, error) {
	cmd, err := newCommand(p.Argv, p.Env, p.Dir)
	if err != nil {
		return nil, err
	}
	cmd.ExtraFiles, cmd.WaitDelay = p.Files, drain
	cmd.Stdin = p.in
	if p.Stdin != "" {
		cmd.Stdin = strings.NewReader(p.Stdin)
	}
	cmd.SysProcAttr = &syscall.SysProcAttr{Setpgid: true, Pdeathsig: syscall.SIGKILL, Credential: p.As}
	return cmd, nil
}
