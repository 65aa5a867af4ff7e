package step

import (
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"os"
	"os/exec"
	"strings"
	"syscall"
	"time"

	"golang.org/x/sys/unix"

	"github.com/ratchetd/ratchet/executor"
)

// Reboot is the kind that reboots the device. It is done when the boot id is
// another one, whoever caused that. It has no undo.
type Reboot struct {
	Command []string // how to reboot; the zero value is "reboot"
}

type rebootWith struct {
	Delay executor.Duration `json:"delay"`
}

type rebootState struct {
	Boot string `json:"boot"` // the boot that is to end
}

// Check implements executor.Kind.
func (k Reboot) Check(with json.RawMessage) error {
	var w rebootWith
	return executor.Decode(with, &w)
}

// Run implements executor.Kind. It waits to be cut: its return in the same
// boot is a failure, or the stop of the agent.
func (k Reboot) Run(ctx context.Context, t *executor.Task) error {
	var w rebootWith
	if err := executor.Decode(t.With, &w); err != nil {
		return err
	}
	s := rebootState{Boot: t.Begun}
	if _, err := t.Load(&s); err != nil {
		return err
	}
	if s.Boot != "" && s.Boot != t.Boot {
		fmt.Fprintln(t.Output, "the device has rebooted")
		return nil
	}
	within := 10 * time.Minute
	if t.Timeout > 0 {
		within = time.Duration(t.Timeout)
	}
	ctx, cancel := context.WithTimeoutCause(ctx, within, fmt.Errorf("the device did not reboot within %s", within))
	defer cancel()
	defer t.Watch(ctx)()
	if err := sleep(ctx, t.Stopping, time.Duration(w.Delay)); err != nil {
		return err
	}
	if err := t.SaveBeforeReboot(rebootState{Boot: t.Boot}); err != nil {
		return err
	}
	return k.reboot(ctx, t)
}

// reboot runs the command and waits for what it brings. The command is left
// running when the agent is stopped: that is how a reboot begins. For the same
// reason it writes to a file in RAM and not to a pipe, and is in no group file.
func (k Reboot) reboot(ctx context.Context, t *executor.Task) error {
	said, err := ramFile()
	if err != nil {
		return err
	}
	defer said.Close()
	cmd, err := k.start(t, said)
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
		return errStopped
	case <-ctx.Done():
		_ = syscall.Kill(-cmd.Process.Pid, syscall.SIGKILL)
		<-ended
		return context.Cause(ctx)
	}
	select {
	case <-t.Stopping:
		return errStopped
	case <-ctx.Done():
		return context.Cause(ctx)
	}
}

func (k Reboot) start(t *executor.Task, said *os.File) (*exec.Cmd, error) {
	argv := k.Command
	if len(argv) == 0 {
		argv = []string{"reboot"}
	}
	who, err := identify("")
	if err != nil {
		return nil, err
	}
	cmd, err := newCommand(argv, environ(t, who, nil), "")
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

func ramFile() (*os.File, error) {
	fd, err := unix.MemfdCreate("ratchet-reboot", unix.MFD_CLOEXEC)
	if err != nil {
		return nil, fmt.Errorf("making a file in memory: %w", err)
	}
	return os.NewFile(uintptr(fd), "reboot's output"), nil
}

// quote returns the end of what the command said, to stand behind its error.
func quote(said *os.File) string {
	const tail = 1 << 10
	size, err := said.Seek(0, io.SeekEnd)
	if err != nil {
		return ""
	}
	text := make([]byte, min(size, tail))
	if _, err := said.ReadAt(text, size-int64(len(text))); err != nil && !errors.Is(err, io.EOF) {
		return ""
	}
	if s := strings.TrimSpace(string(text)); s != "" {
		return ": " + s
	}
	return ""
}
