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
	"syscall"
	"time"

	"github.com/ratchetd/ratchet/cmd/ratchet/internal/fleet"
	"github.com/ratchetd/ratchet/cmd/ratchet/internal/link"
	"github.com/ratchetd/ratchet/cmd/ratchet/internal/screen"
	"github.com/ratchetd/ratchet/executor/fence"
	"github.com/spf13/cobra"
)

func main() {
	os.Exit(run(os.Args[1:], os.Stdin, os.Stdout, os.Stderr))
}

// Exit codes.
const (
	exitDone = iota
	exitError
	exitUsage
	exitJobFailed
)

// usageError is a command line that cannot be meant; it ends with exit code 2.
type usageError struct{ error }

// errJobFailed says that the tool did its work but the job did not succeed
// everywhere; what there is to say has been printed.
var errJobFailed = errors.New("the job did not succeed everywhere")

// A session is one run of the tool.
type session struct {
	in       io.Reader
	out, err *screen.Screen
	link     link.Options
	begun    bool // the command line was understood
}

func run(args []string, in io.Reader, out, errs io.Writer) int {
	ctx, stop := signal.NotifyContext(context.Background(), os.Interrupt, syscall.SIGTERM)
	defer stop()
	// A second signal ends the tool at once, but not the same one sent twice, as
	// timeout(1) does: the demo has processes to end.
	context.AfterFunc(ctx, func() { time.AfterFunc(time.Second, stop) })
	s := &session{in: in, out: screen.On(out), err: screen.On(errs)}
	root := s.rootCommand()
	root.SetArgs(args)
	return s.exitCode(fence.Call(func() error { return root.ExecuteContext(ctx) }))
}

func (s *session) exitCode(err error) int {
	var usage usageError
	var bug *fence.Panic
	switch {
	case err == nil:
		return exitDone
	case errors.As(err, &bug):
		fmt.Fprintf(s.err, "ratchet: %v\n%s", err, bug.Stack)
		return exitError
	case errors.Is(err, errJobFailed):
		return exitJobFailed
	case errors.As(err, &usage) || !s.begun:
		fmt.Fprintf(s.err, "ratchet: %v\nRun 'ratchet help' for what it takes.\n", err)
		return exitUsage
	case errors.Is(err, context.Canceled):
		fmt.Fprintln(s.err, "ratchet: stopped")
		return exitError
	}
	fmt.Fprintf(s.err, "ratchet: %v\n", err)
	return exitError
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

No broker at hand? 'ratchet demo' brings its own, and three devices.

Exit codes: 0 done, 1 error, 2 usage, 3 the job failed somewhere.`,
		SilenceErrors:    true,
		SilenceUsage:     true,
		PersistentPreRun: func(*cobra.Command, []string) { s.begun = true },
	}
	root.SetIn(s.in)
	root.SetOut(s.out)
	root.SetErr(s.err)
	root.AddCommand(s.submitCommand(), s.watchCommand(), s.jobsCommand(), s.cancelCommand(), s.devicesCommand(),
		s.validateCommand(), s.explainCommand(), s.keyCommand(), s.demoCommand(), s.versionCommand())
	return root
}

// dial checks the options of the connection and opens it.
func (s *session) dial(ctx context.Context) (*link.Client, error) {
	if err := s.link.Validate(); err != nil {
		return nil, usageError{err}
	}
	return link.Connect(ctx, s.link)
}

// leftOut says what of the fleet was left out, beside what a command prints.
func (s *session) leftOut(f *fleet.Fleet) {
	for _, line := range f.LeftOut() {
		fmt.Fprintf(s.err, "ratchet: %s\n", screen.Line(line))
	}
}
