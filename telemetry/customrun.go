package telemetry

import (
	"context"
	"errors"
	"fmt"
	"os/exec"
	"runtime"
	"syscall"
	"time"

	"golang.org/x/sys/unix"
)

const (
	customTime  = 10 * time.Second // of one executable
	customGrace = 3 * time.Second  // until it counts as one that cannot be killed
)

// runForFact returns what an executable prints. It runs in a clean environment
// and in a group of its own, of which nothing is left behind.
func runForFact(ctx context.Context, path string) ([]byte, error) {
	ctx, cancel := context.WithTimeoutCause(ctx, customTime, fmt.Errorf("it took more than %s", customTime))
	defer cancel()
	if ctx.Err() != nil {
		return nil, context.Cause(ctx)
	}
	var text boundedText
	cmd := &exec.Cmd{
		Path: path, Args: []string{path}, Dir: "/", Stdout: &text, WaitDelay: time.Second,
		Env:         []string{"PATH=/usr/local/sbin:/usr/local/bin:/usr/sbin:/usr/bin:/sbin:/bin", "LANG=C.UTF-8", "HOME=/"},
		SysProcAttr: &syscall.SysProcAttr{Setpgid: true, Pdeathsig: syscall.SIGKILL},
	}
	ended := make(chan error, 1)
	go func() { ended <- runGroup(ctx, cmd) }()
	select {
	case err := <-ended:
		if text.full {
			err = errTooLong
		}
		return text.text, err
	case <-ctx.Done():
	}
	select {
	case <-ended:
		return nil, context.Cause(ctx)
	case <-time.After(customGrace):
		return nil, fmt.Errorf("%w, and it cannot be killed: it waits for a disk or a server that does not answer", context.Cause(ctx))
	}
}

// runGroup runs a program, and ends its group when ctx ends.
func runGroup(ctx context.Context, cmd *exec.Cmd) error {
	// The parent-death signal comes when the thread that forked ends.
	runtime.LockOSThread()
	defer runtime.UnlockOSThread()
	if err := cmd.Start(); err != nil {
		return err
	}
	group := cmd.Process.Pid
	stop := context.AfterFunc(ctx, func() { _ = syscall.Kill(-group, syscall.SIGKILL) })
	for unix.Waitid(unix.P_PID, group, nil, unix.WEXITED|unix.WNOWAIT, nil) == unix.EINTR {
	}
	late := !stop()
	// The leader is not yet reaped, so that its id is still this group's.
	_ = syscall.Kill(-group, syscall.SIGKILL)
	err := cmd.Wait()
	switch {
	case late:
		return context.Cause(ctx)
	case errors.Is(err, exec.ErrWaitDelay):
		return errors.New("something that it left running holds its output open")
	}
	return err
}
