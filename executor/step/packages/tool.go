package packages

import (
	"bytes"
	"context"
	"fmt"
	"io"
	"maps"
	"slices"
	"time"

	"github.com/ratchetd/ratchet/executor"
	"github.com/ratchetd/ratchet/executor/step/process"
	"github.com/ratchetd/ratchet/executor/step/safefile"
)

const lockPoll = 2 * time.Second

// ask runs the manager for what it says.
func (p *packing) ask(ctx context.Context, argv []string) (string, error) {
	var out bytes.Buffer
	err := p.patiently(ctx, argv, &out, newWords())
	return out.String(), err
}

// run runs the manager for a change.
func (p *packing) run(ctx context.Context, argv []string) error {
	said := newWords()
	return p.patiently(ctx, argv, said.stdout(p.t.Output), said)
}

// patiently runs the manager, again and again while somebody else has locked it.
// The error comes out of said, which gets what it says to stderr.
func (p *packing) patiently(ctx context.Context, argv []string, out io.Writer, said *words) error {
	x := process.Tool{Argv: argv, Env: p.environment(), Stdout: out}
	for {
		status, err := x.Status(ctx, p.t, p.Groups, said.stderr(p.t.Err))
		if err == nil {
			err = process.Judge(status, []int{0})
		}
		if err == nil || !locked(said.String()) {
			return named(argv, err, said)
		}
		said = newWords()
		if err := executor.Sleep(ctx, p.t.Stopping, lockPoll); err != nil {
			return fmt.Errorf("waiting for another run of %s to end: %w", p.name, err)
		}
	}
}

// change runs the manager for a change. One that replaces the agent stops it,
// and must go on without it; where systemd runs it would be killed with all of
// the agent's unit.
func (p *packing) change(ctx context.Context, argv []string, agent bool) error {
	if !agent {
		return p.run(ctx, argv)
	}
	if safefile.Exists("/run/systemd/system") {
		argv = slices.Concat(ownUnit(safefile.Exists("/run/dbus/system_bus_socket")), setenv(p.environment()), []string{"--"}, argv)
	}
	return process.Detached(ctx, p.t, argv, p.environment())
}

// ownUnit has systemd run a program outside the agent's unit and its bounds. To
// wait for a unit wants D-Bus, which a small Debian has not: there it is a scope,
// which lives as long but keeps the bounds.
func ownUnit(bus bool) []string {
	if bus {
		return []string{"systemd-run", "--quiet", "--collect", "--wait", "--pipe"}
	}
	return []string{"systemd-run", "--quiet", "--collect", "--scope"}
}

func setenv(env map[string]string) (args []string) {
	for _, name := range slices.Sorted(maps.Keys(env)) {
		args = append(args, "--setenv="+name+"="+env[name])
	}
	return args
}
