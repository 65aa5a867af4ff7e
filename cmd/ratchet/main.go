// Command ratchet is the operator's tool: it sends jobs to devices over an MQTT
// broker, watches them run, and shows the fleet. Everything it knows it reads
// from retained messages, so it can be started anywhere, many times, and ended
// at any moment.
//
// It runs no step itself and keeps no state of its own.
package main

import (
	"context"
	"errors"
	"fmt"
	"io"
	"os"
	"os/signal"
	"runtime/debug"
	"syscall"
	"time"

	"github.com/ratchetd/ratchet/cmd/ratchet/internal/screen"
	"github.com/ratchetd/ratchet/executor/fence"
	"github.com/spf13/cobra"
)

func main() {
	os.Exit(run(os.Args[1:], os.Stdin, os.Stdout, os.Stderr))
}

func run(args []string, in io.Reader, out, errs io.Writer) int {
	ctx, stop := signal.NotifyContext(context.Background(), os.Interrupt, syscall.SIGTERM)
	defer stop()
	// A second signal ends the tool at once, but not the same one sent twice, as
	// timeout(1) does: the demo has processes to end.
	context.AfterFunc(ctx, func() { time.AfterFunc(time.Second, stop) })
	if os.Getenv("GOGC") == "" {
		debug.SetGCPercent(40) // what is read is kept, so half of the heap would be waste
	}
	s := &session{in: in, out: screen.On(out), err: screen.On(errs)}
	root := s.rootCommand()
	root.SetArgs(args)
	return s.exitCode(fence.Call(func() error { return root.ExecuteContext(ctx) }))
}

func (s *session) rootCommand() *cobra.Command {
	root := &cobra.Command{
		Use:   "ratchet",
		Short: "Send jobs to devices and watch them run",
		Long: `Ratchet sends jobs to devices over an MQTT broker, watches them run and shows
the fleet. Devices that are away, or that do not exist yet, get their jobs when
they come: offers are retained by the broker.

Say which broker with --broker or RATCHET_BROKER (tcp:// tls:// ws:// wss://).
Every flag of the connection has a variable: RATCHET_USERNAME,
RATCHET_PASSWORD_FILE, RATCHET_CA, RATCHET_CERT, RATCHET_KEY, RATCHET_ROOT.
Brokers can have names: 'ratchet context' lists them, --context takes one.

No broker at hand? 'ratchet demo' brings its own, and three devices.

Exit codes: 0 done, 1 error, 2 usage, 3 the job failed somewhere, 4 nobody it was
sent to has answered.`,
		Version:       versionInWords(),
		SilenceErrors: true,
		SilenceUsage:  true,
		PersistentPreRunE: func(cmd *cobra.Command, _ []string) error {
			err := cmd.ValidateRequiredFlags() // cobra looks later, when it is no usage error any more
			if f := cmd.Flags(); err == nil && f.Changed("json") && f.Changed("csv") {
				err = errors.New("--json and --csv: say one")
			}
			s.begun = err == nil
			return err
		},
	}
	root.SetIn(s.in)
	root.SetOut(s.out)
	root.SetErr(s.err)
	root.SetVersionTemplate("{{.Version}}\n")
	root.AddCommand(s.submitCommand(), s.watchCommand(), s.jobsCommand(), s.jobCommand(), s.retryCommand(), cancelCommand{s}.command(), s.devicesCommand(), rolloutCommands{s}.command(),
		s.deviceCommand(), s.healthCommand(), s.alertsCommand(), s.logsCommand(), s.execCommand(),
		s.forgetCommand(), s.replaceCommand(), s.pruneCommand(), s.exportCommand(), s.importCommand(), s.contextCommand(), s.brokerCommand(), simulateCommand{s}.command(),
		s.validateCommand(), s.explainCommand(), keyCommands{s}.command(), s.serveCommand(), s.demoCommand(), s.versionCommand())
	refuseUnknown(root)
	return root
}

// refuseUnknown has commands that only hold others, and help, refuse what they do not
// know. Cobra's print a help text and end well.
func refuseUnknown(root *cobra.Command) {
	root.InitDefaultHelpCmd()
	root.InitDefaultCompletionCmd()
	for _, c := range root.Commands() {
		switch {
		case c.Name() == "help":
			c.Args = func(_ *cobra.Command, args []string) error {
				at, rest, err := root.Find(args)
				if err == nil && len(rest) > 0 {
					err = fmt.Errorf("unknown command %q for %q", rest[0], at.CommandPath())
				}
				return err
			}
		case c.HasSubCommands() && !c.Runnable():
			c.Args = cobra.NoArgs
			c.RunE = func(cmd *cobra.Command, _ []string) error { return cmd.Help() }
		}
	}
}
