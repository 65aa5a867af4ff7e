package check

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
	"github.com/ratchetd/ratchet/executor/step/process"
	"github.com/ratchetd/ratchet/executor/step/safefile"
	"github.com/ratchetd/ratchet/telemetry"
)

// command is the check that is a program of the operator's.
func (k Checker) command(ctx context.Context, c Check) (telemetry.Reading, error) {
	said := process.Tail{Most: 256}
	status, err := k.Execute(ctx, c.argv, &said)
	if err != nil {
		return telemetry.Reading{}, err
	}
	last := said.LastLine()
	err = process.Judge(status, []int{0})
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
	said := process.Tail{Most: 1 << 10}
	status, err := k.Execute(ctx, argv, &said)
	if err != nil {
		return telemetry.Reading{}, err
	}
	return telemetry.Reading{}, serviceState(c.text, status, string(said.Last()))
}

// serviceState reads an answer. systemctl ends with 3 or 4 when a service does
// not run and with 1 when it cannot tell; a script without procd knows no
// "running", and shows its syntax with status 0.
func serviceState(name string, status syscall.WaitStatus, said string) error {
	said = strings.TrimSpace(said)
	switch code := status.ExitStatus(); {
	case strings.Contains(said, "Syntax:"):
		return telemetry.Unknown{Reason: name + " cannot say whether it runs"}
	case code == 0:
		return nil
	case status.Signaled(), said != "" && code != 3 && code != 4:
		return telemetry.Unknown{Reason: fmt.Sprintf("asking for %s: %v: %s", name, process.Judge(status, nil), said)}
	case said == "":
		return fmt.Errorf("%s does not run", name)
	}
	return fmt.Errorf("%s is %s", name, said)
}

func (k Checker) path(path string) string { return filepath.Join("/", k.Root, path) }

// Execute runs a program for a check. One that cannot be started is an Unknown.
func (k Checker) Execute(ctx context.Context, argv []string, out io.Writer) (syscall.WaitStatus, error) {
	who, err := process.Identify("")
	if err != nil {
		return 0, err
	}
	log := k.Log
	if log == nil {
		log = slog.New(slog.DiscardHandler)
	}
	p := process.Program{Argv: argv, Env: process.Environ(new(executor.Task), who, nil), Stdout: out, Stderr: out, Groups: k.Groups, Log: log}
	status, err := p.Run(ctx)
	if err != nil && !errors.Is(err, context.Cause(ctx)) {
		err = telemetry.Unknown{Reason: err.Error()}
	}
	return status, err
}
