package main

import (
	"context"
	"flag"
	"fmt"
	"os"
	"os/exec"
	"os/signal"
	"path/filepath"
	"slices"
	"syscall"
	"testing"

	"github.com/rogpeppe/go-internal/testscript"

	"github.com/ratchetd/ratchet/executor"
	"github.com/ratchetd/ratchet/telemetry/look"
)

func TestMain(m *testing.M) {
	syscall.Umask(0o022)              // what others can write is refused
	if thisRelease() != (release{}) { // whatever name it lies under while it is tried
		mortal()
	}
	flag.Parse()
	// Sessions wait for silence on topics far more than they work.
	if err := flag.Set("test.parallel", "32"); err != nil {
		panic(err)
	}
	testscript.Main(m, map[string]func(){"ratchetd": mortal, "embedded-broker": embeddedBroker})
}

// mortal is the program, except that it can be made to die at a point of its
// journal and to believe in another boot.
func mortal() {
	look.Program = []string{"/proc/self/exe", look.Arg}
	this := thisRelease()
	args := this.behave(slices.Clone(os.Args[1:]))
	if err := fakeBoot(os.Getenv(bootFile)); err != nil {
		fmt.Fprintln(os.Stderr, err)
		os.Exit(1)
	}
	ctx, stop := signal.NotifyContext(context.Background(), os.Interrupt, syscall.SIGTERM)
	context.AfterFunc(ctx, stop)
	os.Exit(run(ctx, args, os.Stdin, os.Stdout, os.Stderr, dying(os.Getenv(this.dieAt()))))
}

// thorough reports whether everything is to be tried that takes its time or
// needs programs beyond Go.
func thorough() bool { return os.Getenv("RATCHET_E2E") != "" }

// TestSessions runs testdata/*.txtar with the embedded broker; script_test.go
// tells which commands they have.
func TestSessions(t *testing.T) { sessions(t, embedded, "ratchetd") }

// TestE2ESessionsWithMosquitto runs the same sessions with another broker.
func TestE2ESessionsWithMosquitto(t *testing.T) {
	needMosquitto(t)
	sessions(t, mosquitto, "ratchetd")
}

func needMosquitto(t *testing.T) {
	t.Helper()
	if !thorough() {
		t.Skip("RATCHET_E2E=1 runs it, or make e2e")
	}
	if _, err := exec.LookPath("mosquitto"); err != nil {
		t.Skip("mosquitto is not installed: make deps")
	}
}

// sessions runs scripts, by default all, against a sort of broker. program is
// the command line that ratchetd is started with.
func sessions(t *testing.T, kind brokerKind, program string, only ...string) {
	t.Parallel()
	p := testscript.Params{Dir: "testdata", Files: only, RequireExplicitExec: true, RequireUniqueNames: true, Cmds: commands, Condition: condition,
		Setup: func(env *testscript.Env) error {
			s, err := newSite(env.WorkDir, kind, program)
			if err != nil {
				return err
			}
			env.Values["site"] = s
			env.Vars = append(env.Vars, "BROKER="+s.broker.url("tcp"), "ADDRESS="+s.broker.device, "CONFIG="+s.config("gw-1"), "STATE="+s.state("gw-1"))
			env.Defer(func() {
				if err := s.close(); err != nil {
					env.T().Fatal(err)
				}
			})
			return nil
		}}
	if only != nil {
		p.Dir = ""
	}
	testscript.Run(t, p)
}

func condition(cond string) (bool, error) {
	switch cond {
	case "thorough":
		return thorough(), nil
	case "boot":
		return canFakeBoot(), nil
	case "mount":
		return os.Geteuid() == 0 && canFakeBoot(), nil
	}
	return false, fmt.Errorf("unknown condition %q", cond)
}

// runtimeLeft is what a killed agent with this state directory leaves in RAM.
func runtimeLeft(state string) string {
	dir := os.TempDir()
	if os.Geteuid() == 0 {
		dir = "/run"
	}
	return filepath.Join(dir, "ratchet-"+executor.Digest([]byte(state))[:12])
}
