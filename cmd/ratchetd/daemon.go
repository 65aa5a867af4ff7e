package main

import (
	"context"
	"errors"
	"fmt"
	"io/fs"
	"log/slog"
	"os"
	"os/signal"
	"syscall"

	"github.com/ratchetd/ratchet/agent"
	"github.com/ratchetd/ratchet/agent/audit"
	"github.com/ratchetd/ratchet/agent/config"
	"github.com/ratchetd/ratchet/agent/enroll"
	"github.com/ratchetd/ratchet/executor/step/process"
)

// daemon is the command run: it works until it is asked to end.
func (c *command) daemon(ctx context.Context, args []string) error {
	f := c.flags("run")
	verbose := f.Bool("verbose", false, "log what happens, not only what needs attention")
	syslog := f.Bool("syslog", false, "log for procd: without the time, and info to stdout")
	if _, err := c.parse(f, args, 0, 0); err != nil {
		return err
	}
	config, err := config.Load(c.config)
	if config == nil {
		return err
	}
	level := slog.LevelInfo
	if *verbose {
		level = slog.LevelDebug
	}
	log := c.logger(level, *syslog)
	if err := config.LeftOut(); err != nil {
		log.Error("parts of the configuration are left out: mend them", "err", err)
	}
	if err := config.Link.Usable(); err != nil {
		log.Error("until this is mended there is no connection; all else works, and it is looked at again and again", "err", err)
	}
	for _, w := range audit.Link(config) {
		log.Warn(w.Opens+": "+w.Instead, "key", w.Key)
	}
	a, err := agent.New(config, log)
	if err != nil {
		return err
	}
	if c.wrap != nil {
		a.Wrap(c.wrap)
	}
	tune()
	process.Seal()
	asked := make(chan os.Signal, 2)
	signal.Notify(asked, syscall.SIGHUP, syscall.SIGUSR1)
	defer signal.Stop(asked)
	err = a.Run(ctx, asked)
	if errors.Is(err, agent.ErrRestart) {
		return again()
	}
	return err
}

// again makes this process the program that lies at its path by now. The
// process keeps its id, so whoever watches it notices nothing; files that it
// has open are closed by the kernel. It returns only when that cannot be done.
func again() error {
	path, err := os.Executable()
	if err == nil {
		err = syscall.Exec(path, os.Args, os.Environ())
	}
	return fmt.Errorf("starting the agent again: %w", err)
}

// check is the command that tells what is wrong before the daemon is started.
func (c *command) check(ctx context.Context, args []string) error {
	f := c.flags("check")
	connect := f.Bool("connect", false, "try the broker")
	if _, err := c.parse(f, args, 0, 0); err != nil {
		return err
	}
	config, err := config.Load(c.config)
	if err != nil {
		return err
	}
	state := config.TryState()
	if errors.Is(state, fs.ErrPermission) { // whoever checks need not be the user that it runs as
		fmt.Fprintln(c.err, "warning:", state)
		state = nil
	}
	if err := errors.Join(state, agent.CheckPolicy(config)); err != nil {
		return err
	}
	fmt.Fprint(c.out, config.Effective())
	for _, line := range agent.DescribeBoard(ctx, config) {
		fmt.Fprintln(c.out, "#", line)
	}
	if err := agent.TryJobs(config); err != nil {
		return err
	}
	for _, w := range audit.Config(config) {
		fmt.Fprintln(c.err, "warning:", w)
	}
	if *connect {
		report, err := enroll.Try(ctx, config)
		for _, line := range report {
			fmt.Fprintln(c.out, "#", line)
		}
		return err
	}
	return nil
}
