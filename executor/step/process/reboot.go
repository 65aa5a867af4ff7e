package process

import (
	"context"
	"fmt"
	"os"
	"os/exec"
	"strings"
	"syscall"

	"github.com/ratchetd/ratchet/executor"
)

// Reboot runs a command that reboots the device; no command is "reboot". It runs it and waits for what it brings. The command is left
// running when the agent is stopped: that is how a reboot begins. For the same
// reason it writes to a file in RAM and not to a pipe, and is in no group file.
func Reboot(ctx context.Context, t *executor.Task, command []string) error {
	said, err := ramFile()
	if err != nil {
		return err
	}
	defer said.Close()
	cmd, err := startReboot(t, command, said)
	if err != nil {
		return err
	}
	ended := make(chan error, 1)
	go func() { ended <- cmd.Wait() }()
	select {
	case err = <-ended:
		if err != nil {
			return fmt.Errorf("the reboot command %s: %w%s", strings.Join(cmd.Args, " "), err, quote(said))
		}
	case <-t.Stopping:
		return executor.ErrStopped
	case <-ctx.Done():
		_ = syscall.Kill(-cmd.Process.Pid, syscall.SIGKILL)
		<-ended
		return context.Cause(ctx)
	}
	select {
	case <-t.Stopping:
		return executor.ErrStopped
	case <-ctx.Done():
		return context.Cause(ctx)
	}
}

func startReboot(t *executor.Task, argv []string, said *os.File) (*exec.Cmd, error) {
	if len(argv) == 0 {
		argv = []string{"reboot"}
	}
	who, err := Identify("")
	if err != nil {
		return nil, err
	}
	cmd, err := newCommand(argv, Environ(t, who, nil), "")
	if err != nil {
		return nil, err
	}
	cmd.Stdout, cmd.Stderr = said, said
	cmd.SysProcAttr = &syscall.SysProcAttr{Setsid: true}
	if err := cmd.Start(); err != nil {
		return nil, startError(cmd.Path, err)
	}
	return cmd, nil
}
