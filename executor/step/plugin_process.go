package step

import (
	"context"
	"os"
	"syscall"
)

// runWith is run for a program that also gets files, as its descriptors 3 and
// up. They stay open here.
func (p *process) runWith(ctx context.Context, files ...*os.File) (syscall.WaitStatus, error) {
	cmd, err := p.command()
	if err != nil {
		return 0, err
	}
	if ctx.Err() != nil {
		return 0, context.Cause(ctx)
	}
	cmd.ExtraFiles = files
	started, exited := make(chan error, 1), make(chan struct{})
	go p.hold(cmd, started, exited)
	if err := <-started; err != nil {
		return 0, startError(cmd.Path, err)
	}
	group := cmd.Process.Pid
	if err := p.groups.Add(group); err != nil {
		p.log.Warn("the process group is not noted: if the agent is killed, its children may live on", "err", err)
	}
	err = p.await(ctx, group, exited)
	// The leader is not yet reaped, so that its id is still this group's.
	_ = syscall.Kill(-group, syscall.SIGKILL)
	<-exited
	p.groups.Remove(group)
	waited := cmd.Wait() // its error is in ProcessState too, or of a pipe that somebody holds
	if cmd.ProcessState == nil {
		return 0, waited
	}
	return cmd.ProcessState.Sys().(syscall.WaitStatus), err
}
