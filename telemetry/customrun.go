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

const customTime = 10 * time.Second // of one executable

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
	// The parent-death signal comes when the thread that forked ends.
	runtime.LockOSThread()
	defer runtime.UnlockOSThread()
	if err := cmd.Start(); err != nil {
		return nil, err
	}
	group := cmd.Process.Pid
	stop := context.AfterFunc(ctx, func() { _ = syscall.Kill(-group, syscall.SIGKILL) })
	for unix.Waitid(unix.P_PID, group, nil, unix.WEXITED|unix.WNOWAIT, nil) == unix.EINTR {
	}
	late := !stop()
	// The leader is not yet reaped, so that its id is still this group's.
	_ = syscall.Kill(-group, syscall.SIGKILL)
	err := cmd.Wait()
	if late {
		return nil, context.Cause(ctx)
	}
	if text.full {
		return nil, errTooLong
	}
	if errors.Is(err, exec.ErrWaitDelay) {
		err = errors.New("something that it left running holds its output open")
	}
	return text.text, err
}
