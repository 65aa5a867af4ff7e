package process

import (
	"context"
	"errors"
	"fmt"
	"io"
	"os"
	"slices"
	"strings"
	"syscall"

	"golang.org/x/sys/unix"

	"github.com/ratchetd/ratchet/executor"
)

// IsAgent reports whether a service or package is the agent itself.
func IsAgent(name string) bool {
	return slices.Contains([]string{"ratchet", "ratchetd"}, strings.TrimSuffix(name, ".service"))
}

// Detached runs a program that may end the agent, and so must not end with it.
// It is in no group file, has no parent-death signal and holds no pipe.
func Detached(ctx context.Context, t *executor.Task, argv []string, env map[string]string) error {
	who, err := Identify("")
	if err != nil {
		return err
	}
	cmd, err := newCommand(argv, Environ(t, who, env), "")
	if err != nil {
		return err
	}
	said, err := ramFile()
	if err != nil {
		return err
	}
	defer said.Close()
	cmd.Stdout, cmd.Stderr = said, said
	cmd.SysProcAttr = &syscall.SysProcAttr{Setsid: true}
	if err := cmd.Start(); err != nil {
		return startError(cmd.Path, err)
	}
	ended := make(chan error, 1)
	go func() { ended <- cmd.Wait() }()
	select {
	case err := <-ended:
		if err != nil {
			return fmt.Errorf("%s: %w%s", strings.Join(argv, " "), err, quote(said))
		}
		fmt.Fprint(t.Output, strings.TrimPrefix(quote(said), ": "))
		return nil
	case <-t.Stopping:
		return executor.ErrStopped
	case <-ctx.Done():
		_ = syscall.Kill(-cmd.Process.Pid, syscall.SIGKILL)
		<-ended
		return context.Cause(ctx)
	}
}

// ramFile takes what a program says that may outlive the agent.
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
