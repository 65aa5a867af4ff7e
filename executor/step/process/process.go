// Package process runs programs for steps: each in a process group of its own,
// with a clean environment, and with the promise that none of it outlives the
// step, nor the agent.
//
// It judges nothing about whether a program may be run: that is package policy's.
package process

import (
	"context"
	"io"
	"log/slog"
	"os"
	"os/exec"
	"runtime"
	"strings"
	"syscall"
	"time"

	"golang.org/x/sys/unix"
)

const (
	Grace = 5 * time.Second        // between SIGTERM and SIGKILL
	drain = 2 * time.Second        // for what left the group and holds a pipe open
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
	Groups         Groups
	Log            *slog.Logger
}

// Run returns how the process ended, or the cause of ctx when that ended it.
func (p *Program) Run(ctx context.Context) (syscall.WaitStatus, error) {
	cmd, err := p.command()
	if err != nil {
		return 0, err
	}
	if ctx.Err() != nil {
		return 0, context.Cause(ctx)
	}
	started, exited := make(chan error, 1), make(chan struct{})
	go p.hold(cmd, started, exited)
	if err := <-started; err != nil {
		return 0, startError(cmd.Path, err)
	}
	group := cmd.Process.Pid
	if err := p.Groups.Add(group); err != nil && p.Log != nil {
		p.Log.Warn("the process group is not noted: if the agent is killed, its children may live on", "err", err)
	}
	err = p.await(ctx, group, exited)
	// The leader is not yet reaped, so that its id is still this group's.
	_ = syscall.Kill(-group, syscall.SIGKILL)
	<-exited
	p.Groups.Remove(group)
	waited := cmd.Wait() // its error is in ProcessState too, or of a pipe that somebody holds
	if cmd.ProcessState == nil {
		return 0, waited
	}
	return cmd.ProcessState.Sys().(syscall.WaitStatus), err
}

func (p *Program) command() (*exec.Cmd, error) {
	cmd, err := newCommand(p.Argv, p.Env, p.Dir)
	if err != nil {
		return nil, err
	}
	cmd.Stdout, cmd.Stderr, cmd.ExtraFiles, cmd.WaitDelay = p.Stdout, p.Stderr, p.Files, drain
	cmd.Stdin = p.in
	if p.Stdin != "" {
		cmd.Stdin = strings.NewReader(p.Stdin)
	}
	cmd.SysProcAttr = &syscall.SysProcAttr{Setpgid: true, Pdeathsig: syscall.SIGKILL, Credential: p.As}
	return cmd, nil
}

// hold starts the process and stays until it has exited. The parent-death
// signal follows the thread that forked, and niceness is a thread's too: so
// the thread is kept for as long, and not unlocked, which ends it.
func (p *Program) hold(cmd *exec.Cmd, started chan<- error, exited chan<- struct{}) {
	runtime.LockOSThread()
	if p.Nice != 0 {
		if err := syscall.Setpriority(syscall.PRIO_PROCESS, 0, p.Nice); err != nil {
			started <- err
			return
		}
	}
	err := cmd.Start()
	started <- err
	if err != nil {
		return
	}
	for {
		err := unix.Waitid(unix.P_PID, cmd.Process.Pid, nil, unix.WEXITED|unix.WNOWAIT, nil)
		if err != unix.EINTR {
			close(exited)
			return
		}
	}
}

// await returns when the leader has exited, or else the cause of ctx, when it
// has ended and the group had its time to go down.
func (p *Program) await(ctx context.Context, group int, exited <-chan struct{}) error {
	select {
	case <-exited:
		return nil
	case <-ctx.Done():
	}
	select {
	case <-exited: // at the same moment: what is done is done
		return nil
	default:
	}
	_ = syscall.Kill(-group, syscall.SIGTERM)
	for end := time.Now().Add(Grace); time.Now().Before(end) && len(members(group)) > 0; {
		time.Sleep(poll)
	}
	return context.Cause(ctx)
}
