package process

import (
	"fmt"
	"slices"
	"syscall"

	"golang.org/x/sys/unix"
)

// Judge says what a process's end means. Death by a signal is a failure
// whatever the codes that are fine.
func Judge(status syscall.WaitStatus, ok []int) error {
	switch {
	case status.Signaled():
		return fmt.Errorf("killed by %s", SignalName(status.Signal()))
	case !slices.Contains(ok, status.ExitStatus()):
		return fmt.Errorf("exit status %d", status.ExitStatus())
	}
	return nil
}

// SignalName is a signal as people know it, such as SIGTERM.
func SignalName(s syscall.Signal) string {
	if name := unix.SignalName(s); name != "" {
		return name
	}
	return fmt.Sprintf("signal %d", int(s))
}
