package main

import (
	"bytes"
	"encoding/json"
	"fmt"
	"os"
	"path/filepath"
	"slices"
	"strings"

	"aead.dev/minisign"
	"github.com/rogpeppe/go-internal/testscript"
)

// A release is a ratchetd of a version of its own, for updates. It is the
// program under test, with a line behind its end that says so.
type release struct{ version, behaves string }

const (
	releaseMark = "\nratchetd under test: "
	crashes     = "crashes" // as soon as it runs, and not when it is tried
	isDeaf      = "deaf"    // it finds no broker
)

// binary is the program of a release.
func (r release) binary() ([]byte, error) {
	self, err := os.Executable()
	if err != nil {
		return nil, err
	}
	program, err := os.ReadFile(self)
	return fmt.Appendf(program, "%s%-20s%-20s", releaseMark, r.version, r.behaves), err
}

// thisRelease is which release this process is; the zero one is none.
func thisRelease() release {
	file, err := os.Open("/proc/self/exe")
	if err != nil {
		return release{}
	}
	defer file.Close()
	end := make([]byte, len(releaseMark)+40)
	info, err := file.Stat()
	if err != nil {
		return release{}
	}
	if _, err := file.ReadAt(end, info.Size()-int64(len(end))); err != nil || !bytes.HasPrefix(end, []byte(releaseMark)) {
		return release{}
	}
	fields := strings.Fields(string(end[len(releaseMark):]))
	return release{fields[0], strings.Join(fields[1:], "")}
}

// dieAt is what names the point at which this release dies. A shell passes on
// no name with a dot.
func (r release) dieAt() string { return dieAt + strings.ReplaceAll(r.version, ".", "_") }

// behave does what the release does other than the program under test, and
// returns the arguments that are left for that.
func (r release) behave(args []string) []string {
	switch {
	case r.version == "" || len(args) == 0:
	case args[0] == "version":
		fmt.Println("ratchetd", r.version)
		os.Exit(0)
	case args[0] == "run" && r.behaves == crashes:
		fmt.Fprintln(os.Stderr, "this release is broken")
		os.Exit(1)
	case args[0] == "run" && r.behaves == isDeaf:
		if i := slices.Index(args, "--config"); i >= 0 {
			args[i+1] = deafConfig(args[i+1])
		}
	}
	return args
}

// deafConfig is beside the device's configuration and names another broker.
func deafConfig(config string) string { return filepath.Join(filepath.Dir(config), "deaf.toml") }

// agentPath is where the agent's binary lies on a site that updates it.
func (s *site) agentPath() string { return filepath.Join(s.dir, "agent", "ratchetd") }

// install makes a release the agent of this site, started as procd would.
func (s *site) install(r release) error {
	program, err := r.binary()
	if err != nil {
		return err
	}
	start, err := filepath.Abs("../../scripts/openwrt/ratchetd-start")
	if err != nil {
		return err
	}
	s.program, s.byHand = []string{start, s.agentPath()}, true
	if err := os.MkdirAll(filepath.Dir(s.agentPath()), 0o755); err != nil {
		return err
	}
	return os.WriteFile(s.agentPath(), program, 0o755)
}

// publish puts a release on a server, and makes a configuration for deaf ones.
func (s *site) publish(r release) error {
	program, err := r.binary()
	if err != nil {
		return err
	}
	s.serve(serveFile(program, 1<<30))
	signature, err := json.Marshal(string(minisign.Sign(s.keys["KEY"], program)))
	if err != nil {
		return err
	}
	s.vars["BEFORE"], s.vars["SIGNATURE"] = s.vars["SIGNATURE"], string(signature)
	if err := s.configure("gw-1"); err != nil {
		return err
	}
	config, err := os.ReadFile(s.config("gw-1"))
	if err != nil {
		return err
	}
	deaf := strings.ReplaceAll(string(config), s.broker.url("tcp"), "tcp://127.0.0.1:1")
	return os.WriteFile(deafConfig(s.config("gw-1")), []byte(deaf), 0o600)
}

func releaseOf(args []string) release {
	return release{args[0], strings.Join(args[1:], "")}
}

func cmdInstall(ts *testscript.TestScript, _ bool, args []string) {
	ts.Check(siteOf(ts).install(releaseOf(args)))
}

func cmdPublish(ts *testscript.TestScript, _ bool, args []string) {
	ts.Check(siteOf(ts).publish(releaseOf(args)))
}
