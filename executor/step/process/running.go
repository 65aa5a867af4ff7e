package process

import (
	"context"
	"fmt"
	"os/exec"
	"runtime"
	"slices"
	"syscall"
	"time"
	"unsafe"

	"golang.org/x/sys/unix"
)

// running is a Program under way.
type running struct {
	*Program
	in      *cgroup
	says    outputs
	cmd     *exec.Cmd
	started chan error
	exited  chan struct{} // closed when the leader has exited; it is not reaped then
	well    bool          // it ended with one of its OKCodes; set before exited is closed
	all     *family       // what was seen of it before it was ended
}

// command is the Program's, with the pipes for what it says.
func (r *running) command() (*exec.Cmd, error) {
	cmd, err := r.Program.command()
	if err == nil {
		cmd.Stdout, cmd.Stderr = r.says.stdout, r.says.stderr
	}
	return cmd, err
}

// hold starts the process and stays until it has exited. The parent-death
// signal follows the thread that forked, and niceness is a thread's too: so
// the thread is kept for as long, and not unlocked, which ends it.
func (r *running) hold() {
	runtime.LockOSThread()
	if r.Nice != 0 {
		if err := syscall.Setpriority(syscall.PRIO_PROCESS, 0, r.Nice); err != nil {
			r.cmd, _ = r.command()
			r.started <- err
			return
		}
	}
	err := r.start()
	r.started <- err
	if err != nil {
		return
	}
	for {
		var info unix.Siginfo
		err := unix.Waitid(unix.P_PID, r.cmd.Process.Pid, &info, unix.WEXITED|unix.WNOWAIT, nil)
		if err != unix.EINTR {
			r.well = err == nil && endedWell(&info, r.OKCodes)
			close(r.exited)
			return
		}
	}
}

// start lets the process be born in its control group. Where the kernel cannot, or a
// seccomp filter keeps clone3 away, it is moved there.
func (r *running) start() (err error) {
	if r.in != nil {
		if r.cmd, err = r.command(); err != nil {
			return err
		}
		if dir, err := r.in.open(); err == nil {
			r.cmd.SysProcAttr.UseCgroupFD, r.cmd.SysProcAttr.CgroupFD = true, dir
			err := r.cmd.Start()
			_ = unix.Close(dir) // it was only a place
			if err == nil {
				return nil
			}
		}
	}
	if r.cmd, err = r.command(); err != nil {
		return err
	}
	if err := r.cmd.Start(); err != nil {
		return err
	}
	if r.in != nil {
		r.in.take(r.cmd.Process.Pid)
	}
	return nil
}

// endedWell reports whether a process exited by itself with one of those codes.
func endedWell(info *unix.Siginfo, ok []int) bool {
	// The kernel's union follows three numbers, aligned as a pointer is: id, user, status.
	const numbers = 3 * unsafe.Sizeof(int32(0))
	const union = (numbers + unsafe.Sizeof(uintptr(0)) - 1) &^ (unsafe.Sizeof(uintptr(0)) - 1)
	status := *(*int32)(unsafe.Add(unsafe.Pointer(info), union+2*unsafe.Sizeof(int32(0))))
	const exited = 1 // CLD_EXITED
	return info.Code == exited && (status == 0 && len(ok) == 0 || slices.Contains(ok, int(status)))
}

// await returns when the leader has exited, or else the cause of ctx, when it
// has ended and all that was started had its time to go down.
func (r *running) await(ctx context.Context) error {
	select {
	case <-r.exited:
		return nil
	case <-ctx.Done():
	}
	select {
	case <-r.exited: // at the same moment: what is done is done
		return nil
	default:
	}
	r.all = familyOf(r.cmd.Process.Pid)
	r.terminate()
	for end := time.Now().Add(Grace); time.Now().Before(end) && len(r.all.living())+len(r.in.members()) > 0; {
		time.Sleep(poll)
	}
	_ = syscall.Kill(-r.cmd.Process.Pid, syscall.SIGKILL) // else exited would not come
	return context.Cause(ctx)
}

// dies reports whether the leader has exited, which was killed.
func (r *running) dies() bool {
	select {
	case <-r.exited:
		return true
	case <-time.After(Grace):
		return false
	}
}

// bury waits for one that was left behind, for as long as that takes.
func (r *running) bury() {
	<-r.exited
	r.Groups.Remove(r.cmd.Process.Pid)
	_ = r.cmd.Wait() // nobody asks any more
	r.in.leave()
}

// terminate asks the group, and what has left it, to end.
func (r *running) terminate() {
	group := r.cmd.Process.Pid
	ids := r.in.members()
	for _, p := range r.all.living() {
		ids = append(ids, p.pid)
	}
	slices.Sort(ids)
	ids = slices.DeleteFunc(slices.Compact(ids), func(pid int) bool {
		p, ok := ReadStat(pid)
		return !ok || p.group == group
	})
	_ = syscall.Kill(-group, syscall.SIGTERM)
	for _, pid := range ids {
		_ = syscall.Kill(pid, syscall.SIGTERM)
	}
}

// endAll kills what is left. The leader is a zombie by now.
func (r *running) endAll() {
	if r.all == nil {
		r.all = familyOf(r.cmd.Process.Pid)
	}
	_ = syscall.Kill(-r.cmd.Process.Pid, syscall.SIGKILL)
	if err := r.in.end(); err != nil {
		r.warn("a program is over, but not all that it has started", err)
	}
	for end := time.Now().Add(Grace); ; time.Sleep(poll / 10) {
		left := r.all.kill()
		if left == 0 {
			return
		}
		if time.Now().After(end) {
			r.warn("a program is over, but not all that it has started", fmt.Errorf("%d processes cannot be killed", left))
			return
		}
	}
}
