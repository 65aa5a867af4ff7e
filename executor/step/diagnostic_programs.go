package step

import (
	"context"
	"errors"
	"fmt"
	"io"
	"log/slog"
	"path/filepath"
	"strings"
	"syscall"

	"github.com/ratchetd/ratchet/executor"
	"github.com/ratchetd/ratchet/executor/step/safefile"
	"github.com/ratchetd/ratchet/telemetry"
)

// command is the check that is a program of the operator's.
func (k Checker) command(ctx context.Context, c Check) (telemetry.Reading, error) {
	said := tail{most: 256}
	status, err := k.execute(ctx, c.argv, &said)
	if err != nil {
		return telemetry.Reading{}, err
	}
	last := said.lastLine()
	err = judge(status, []int{0})
	if err != nil && last != "" {
		err = fmt.Errorf("%w: %s", err, last)
	}
	return telemetry.Reading{Detail: last}, err
}

// service asks the program that starts services, systemd's or procd's.
func (k Checker) service(ctx context.Context, c Check) (telemetry.Reading, error) {
	argv := []string{k.path("/bin/systemctl"), "is-active", c.text}
	if !safefile.Exists(k.path("/run/systemd/system")) {
		argv = []string{k.path("/etc/init.d/" + c.text), "running"}
		if !safefile.Exists(k.path("/etc/rc.common")) {
			return telemetry.Reading{}, telemetry.Unknown{Reason: "neither systemd nor procd runs here"}
		}
		if !safefile.Exists(argv[0]) {
			return telemetry.Reading{}, fmt.Errorf("there is no service %s", c.text)
		}
	}
	said := tail{most: 1 << 10}
	status, err := k.execute(ctx, argv, &said)
	if err != nil {
		return telemetry.Reading{}, err
	}
	return telemetry.Reading{}, serviceState(c.text, status, string(said.last()))
}

// serviceState reads an answer. systemctl ends with 3 or 4 when a service does
// not run and with 1 when it cannot tell; a script without procd knows no
// "running", and shows its syntax with status 0.
func serviceState(name string, status syscall.WaitStatus, said string) error {
	said = strings.TrimSpace(said)
	switch code := status.ExitStatus(); {
	case strings.Contains(said, "Syntax:"):
		return telemetry.Unknown{Reason: name + " cannot tell whether it runs"}
	case code == 0:
		return nil
	case status.Signaled(), said != "" && code != 3 && code != 4:
		return telemetry.Unknown{Reason: fmt.Sprintf("asking for %s: %v: %s", name, judge(status, nil), said)}
	case said == "":
		return fmt.Errorf("%s does not run", name)
	}
	return fmt.Errorf("%s is %s", name, said)
}

func (k Checker) path(path string) string { return filepath.Join("/", k.Root, path) }

// execute runs a program for a check. One that cannot be started is an Unknown.
func (k Checker) execute(ctx context.Context, argv []string, out io.Writer) (syscall.WaitStatus, error) {
	who, err := identify("")
	if err != nil {
		return 0, err
	}
	log := k.Log
	if log == nil {
		log = slog.New(slog.DiscardHandler)
	}
	p := process{argv: argv, env: environ(new(executor.Task), who, nil), stdout: out, stderr: out, groups: k.Groups, log: log}
	status, err := p.run(ctx)
	if err != nil && !errors.Is(err, context.Cause(ctx)) {
		err = telemetry.Unknown{Reason: err.Error()}
	}
	return status, err
}

// tail is a writer that keeps the last bytes written to it.
type tail struct {
	most int
	buf  []byte // up to twice as much, so that not every write moves it
	cut  bool   // there was more
}

func (t *tail) Write(p []byte) (int, error) {
	t.buf = append(t.buf, p...)
	t.cut = t.cut || len(t.buf) > t.most
	if len(t.buf) > 2*t.most {
		t.buf = append(t.buf[:0], t.last()...)
	}
	return len(p), nil
}

func (t *tail) last() []byte { return t.buf[max(0, len(t.buf)-t.most):] }

// lastLine is the last line for people. Of one that was cut the first word is
// left out: it may be the end of a secret, and would not be known for one.
func (t *tail) lastLine() string {
	text := strings.TrimSpace(strings.ToValidUTF8(string(t.last()), ""))
	begin := strings.LastIndexByte(text, '\n') + 1
	text = strings.Map(printable, text[begin:])
	if t.cut && begin == 0 {
		_, text, _ = strings.Cut(text, " ")
	}
	return text
}
