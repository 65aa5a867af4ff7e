package process

import (
	"context"
	"errors"
	"fmt"
	"io"
	"path/filepath"
	"strings"
	"syscall"

	"github.com/ratchetd/ratchet/executor"
)

// Tool is one of the system's, which a kind runs to do its work.
type Tool struct {
	Argv   []string
	Dir    string
	Env    map[string]string
	Stdin  string
	In     io.Reader // in stdin's stead
	Stdout io.Writer // nil: the step's output
}

// Run fails when the tool does; the error ends with what it said last.
func (x Tool) Run(ctx context.Context, t *executor.Task, groups Groups) error {
	said := &Tail{Most: 512}
	status, err := x.Status(ctx, t, groups, io.MultiWriter(said, t.Err))
	if err == nil {
		err = Judge(status, []int{0})
	}
	return x.Named(err, said)
}

// Status runs the tool and returns how it ended.
func (x Tool) Status(ctx context.Context, t *executor.Task, groups Groups, stderr io.Writer) (syscall.WaitStatus, error) {
	who, err := Identify("")
	if err != nil {
		return 0, err
	}
	if x.Stdout == nil {
		x.Stdout = t.Output
	}
	run := Program{
		Argv: x.Argv, Env: Environ(t, who, x.Env), Dir: x.Dir, Stdin: x.Stdin, in: x.In,
		Stdout: x.Stdout, Stderr: stderr, Groups: groups, Log: t.Log,
	}
	return run.Run(ctx)
}

// Named puts the tool's name before an error, and its last words behind it.
func (x Tool) Named(err error, said *Tail) error {
	last := strings.TrimSpace(said.LastLine())
	switch {
	case err == nil:
		return nil
	case last == "":
		return fmt.Errorf("%s: %w", filepath.Base(x.Argv[0]), err)
	}
	return fmt.Errorf("%s: %w: %s", filepath.Base(x.Argv[0]), err, last)
}

// CheckArgv says why a list cannot be run as a program, or nil.
func CheckArgv(argv []string) error {
	if len(argv) == 0 || argv[0] == "" {
		return errors.New("want a program and its arguments")
	}
	for i, arg := range argv {
		if strings.Contains(arg, "\x00") {
			return fmt.Errorf("[%d]: holds a NUL byte", i)
		}
	}
	return nil
}
