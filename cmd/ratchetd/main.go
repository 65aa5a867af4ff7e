// Command ratchetd is the daemon on the device: it takes jobs, runs their steps
// in order, journals every step, and after a power cut goes on where it was.
// What it does is package agent's work; here are only its commands.
package main

import (
	"context"
	"errors"
	"flag"
	"fmt"
	"io"
	"net"
	"os"
	"os/signal"
	"syscall"
	"time"

	"github.com/ratchetd/ratchet/agent"
	"github.com/ratchetd/ratchet/agent/build"
	"github.com/ratchetd/ratchet/agent/config"
	"github.com/ratchetd/ratchet/telemetry/look"
	"github.com/ratchetd/ratchet/telemetry/resolver"
)

const usage = `ratchetd runs jobs on this device, and after a power cut goes on where it was.

Usage: ratchetd COMMAND [--config FILE] [ARGUMENTS]

  enroll --broker URL ...   write the settings, try the broker, tell what to do next
  run                       the daemon
  check [--connect]         check the configuration against the rules; try the broker
  status [--json] [--watch] how the agent and the board are
  jobs [--json] [ID]        what it knows of its jobs, or of one
  submit [--watch] FILE     give it a job (JSON; - is stdin), by the same policy as over the link
  cancel ID [FILE]          end a job; FILE holds a signed cancel, where policy.keys is set
  explain FILE              what each step would do, and what a power cut there would mean
  version

The configuration is ` + config.DefaultPath + ` unless --config names another.
Exit codes: 0 done, 1 error, 2 usage, 3 the watched job did not succeed.
`

// errUsage is a command line that cannot be understood; what is wrong is told.
var errUsage = errors.New("usage")

// errJobFailed is a watched job that did not succeed.
var errJobFailed = errors.New("the job did not succeed")

// errWorker is a worker of the agent's own that failed; it has said why.
var errWorker = errors.New("the program failed")

func main() {
	net.DefaultResolver = resolver.New()
	look.Program = []string{"/proc/self/exe", look.Arg} // also when an update has put another program in its place
	ctx, stop := signal.NotifyContext(context.Background(), syscall.SIGINT, syscall.SIGTERM)
	// A second signal ends the process at once; but timeout(1) and others send
	// the first one twice.
	context.AfterFunc(ctx, func() { time.AfterFunc(time.Second, stop) })
	os.Exit(run(ctx, os.Args[1:], os.Stdin, os.Stdout, os.Stderr, nil))
}

// run is the program; wrap, in tests, cuts the power at the journal.
func run(ctx context.Context, args []string, stdin io.Reader, stdout, stderr io.Writer, wrap func(agent.Journal) agent.Journal) int {
	c := &command{in: stdin, out: printable{stdout}, err: printable{stderr}, raw: stdout, wrap: wrap}
	err := c.run(ctx, args)
	switch {
	case err == nil:
		return 0
	case errors.Is(err, errUsage):
		return 2
	case errors.Is(err, errJobFailed):
		return 3
	case err == errWorker:
		return 1
	}
	fmt.Fprintln(c.err, "ratchetd:", err)
	return 1
}

// A command is one call of the program. Each of its commands is a method that
// declares its flags, reads the rest of the command line and does its work.
type command struct {
	in       io.Reader
	out, err io.Writer
	raw      io.Writer // out, for what is no text
	wrap     func(agent.Journal) agent.Journal
	config   string
}

func (c *command) run(ctx context.Context, args []string) error {
	commands := map[string]func(context.Context, []string) error{
		"enroll": c.enroll, "run": c.daemon, "check": c.check, "status": c.status, "jobs": c.jobs,
		"submit": c.submit, "cancel": c.cancel, "explain": c.explain, "version": c.version,
	}
	if len(args) == 0 {
		return c.misused("")
	}
	if args[0] == "help" || args[0] == "-h" || args[0] == "--help" {
		fmt.Fprint(c.out, usage)
		return nil
	}
	if args[0] == look.Arg {
		if look.Worker(args[1:], c.raw) != 0 {
			return errWorker
		}
		return nil
	}
	if args[0] == agent.WorkerArg {
		if agent.DataWorker(c.in, c.raw, c.err) != 0 {
			return errWorker
		}
		return nil
	}
	do, ok := commands[args[0]]
	if !ok {
		return c.misused(fmt.Sprintf("ratchetd has no command %q\n", args[0]))
	}
	return do(ctx, args[1:])
}

func (c *command) misused(why string) error {
	fmt.Fprint(c.err, why, usage)
	return errUsage
}

// flags are those of one command, --config among them.
func (c *command) flags(name string) *flag.FlagSet {
	f := flag.NewFlagSet("ratchetd "+name, flag.ContinueOnError)
	f.SetOutput(c.err)
	f.StringVar(&c.config, "config", config.DefaultPath, "the configuration `file`")
	return f
}

// parse reads the command line, in which flags may stand anywhere, and returns
// the arguments: at least least and at most most.
func (c *command) parse(f *flag.FlagSet, args []string, least, most int) ([]string, error) {
	var rest []string
	for {
		if err := f.Parse(args); errors.Is(err, flag.ErrHelp) {
			return nil, errUsage
		} else if err != nil {
			return nil, errUsage // flag has said why
		}
		if f.NArg() == 0 {
			break
		}
		rest, args = append(rest, f.Arg(0)), f.Args()[1:]
	}
	if len(rest) < least || len(rest) > most {
		return nil, c.misused(fmt.Sprintf("%s: %d arguments are not what it takes\n", f.Name(), len(rest)))
	}
	return rest, nil
}

func (c *command) version(_ context.Context, args []string) error {
	if _, err := c.parse(c.flags("version"), args, 0, 0); err != nil {
		return err
	}
	fmt.Fprintln(c.out, "ratchetd", build.Version())
	return nil
}
