package step

import (
	"context"
	"fmt"
	"io"
	"path/filepath"
	"strings"
	"syscall"

	"github.com/ratchetd/ratchet/executor"
)

// tool is one of the system's, which a kind runs to do its work.
type tool struct {
	argv   []string
	dir    string
	env    map[string]string
	stdin  string
	in     io.Reader // in stdin's stead
	stdout io.Writer // nil: the step's output
}

// run fails when the tool does; the error ends with what it said last.
func (x tool) run(ctx context.Context, t *executor.Task, groups Groups) error {
	said := &tail{most: 512}
	status, err := x.status(ctx, t, groups, io.MultiWriter(said, t.Err))
	if err == nil {
		err = judge(status, []int{0})
	}
	return x.named(err, said)
}

// status runs the tool and returns how it ended.
func (x tool) status(ctx context.Context, t *executor.Task, groups Groups, stderr io.Writer) (syscall.WaitStatus, error) {
	who, err := identify("")
	if err != nil {
		return 0, err
	}
	if x.stdout == nil {
		x.stdout = t.Output
	}
	run := process{
		argv: x.argv, env: environ(t, who, x.env), dir: x.dir, stdin: x.stdin, in: x.in,
		stdout: x.stdout, stderr: stderr, groups: groups, log: t.Log,
	}
	return run.run(ctx)
}

// named puts the tool's name before an error, and its last words behind it.
func (x tool) named(err error, said *tail) error {
	last := strings.TrimSpace(said.lastLine())
	switch {
	case err == nil:
		return nil
	case last == "":
		return fmt.Errorf("%s: %w", filepath.Base(x.argv[0]), err)
	}
	return fmt.Errorf("%s: %w: %s", filepath.Base(x.argv[0]), err, last)
}
