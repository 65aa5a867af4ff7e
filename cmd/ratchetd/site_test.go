package main

import (
	"errors"
	"fmt"
	"maps"
	"os"
	"os/exec"
	"path/filepath"
	"regexp"
	"slices"
	"strings"
	"syscall"
	"time"

	"aead.dev/minisign"

	"github.com/ratchetd/ratchet/scripts/authority"
)

// A site is where one session takes place: a broker, its operator and devices,
// with all their files below one directory.
type site struct {
	dir     string
	program []string // how ratchetd is started
	byHand  bool     // it is started from the folder of its configuration
	broker  *broker
	watcher *watcher
	daemons map[string]*daemon
	boot    string // id of the boot in which daemons believe; empty: the real one
	vars    map[string]string
	files   *fileServer
	keys    map[string]minisign.PrivateKey
	closers []func() error
}

func newSite(dir string, kind brokerKind, program string) (*site, error) {
	b := newBroker(filepath.Join(dir, "broker"), kind)
	s := &site{dir: dir, program: strings.Fields(program), broker: b, daemons: map[string]*daemon{},
		vars: map[string]string{"WORK": dir, "ADDRESS": b.device}}
	return s, errors.Join(os.MkdirAll(b.dir, 0o700), s.makeKeys())
}

// state is the state directory of a device.
func (s *site) state(device string) string { return filepath.Join(s.dir, device) }

// config is the configuration file of a device. Where the session has none,
// daemon makes one.
func (s *site) config(device string) string { return filepath.Join(s.dir, "etc", device+".toml") }

var variable = regexp.MustCompile(`\$\{([A-Z0-9]+)\}`)

// fill replaces ${WORK} and the like.
func (s *site) fill(text []byte) []byte {
	s.vars["SOON"] = time.Now().Add(12 * time.Second).UTC().Format(time.RFC3339)
	return variable.ReplaceAllFunc(text, func(name []byte) []byte {
		return []byte(s.vars[string(variable.FindSubmatch(name)[1])])
	})
}

// configure writes a device's configuration: what the session wants it to
// begin with, filled in, or a plain one, and what it leaves open.
func (s *site) configure(device string) error {
	text, err := os.ReadFile(s.config(device))
	if err == nil {
		return os.WriteFile(s.config(device), s.fill(text), 0o600)
	}
	if err := os.MkdirAll(filepath.Dir(s.config(device)), 0o700); err != nil {
		return err
	}
	plain := fmt.Sprintf("device = %q\nstate = %q\ngroups = [\"routers\"]\n[link]\nbroker = %q\nspread = \"0s\"\n[policy]\nreboot = [\"/bin/touch\", %q]\n",
		device, s.state(device), s.broker.url("tcp"), filepath.Join(s.dir, "rebooting"))
	return os.WriteFile(s.config(device), []byte(plain), 0o600)
}

// start starts the broker, where it is not there yet, and the operator.
func (s *site) start(with ...string) error {
	if s.watcher != nil {
		return s.broker.start()
	}
	s.broker.with = with
	if slices.Contains(with, "tls") {
		if err := authority.Write(s.broker.dir, "gw-1"); err != nil {
			return err
		}
	}
	if err := s.broker.start(); err != nil {
		return err
	}
	w, err := watch(s.broker)
	s.watcher = w
	return err
}

// close ends everything and tells what no session may leave behind.
func (s *site) close() error {
	var errs []error
	for _, name := range slices.Sorted(maps.Keys(s.daemons)) {
		s.daemons[name].kill()
		errs = append(errs, s.daemons[name].sane(), os.RemoveAll(runtimeLeft(s.state(name))))
	}
	if s.watcher != nil {
		errs = append(errs, s.watcher.oneEnd())
		s.watcher.close()
	}
	errs = append(errs, s.broker.end())
	for _, f := range s.closers {
		errs = append(errs, f())
	}
	return errors.Join(errs...)
}

// A daemon is a ratchetd that runs, or ran.
type daemon struct {
	cmd  *exec.Cmd
	log  string
	done chan struct{}
}

// launch starts a device's daemon. env is added to what it sees.
func (s *site) launch(device string, env ...string) (*daemon, error) {
	if err := s.configure(device); err != nil {
		return nil, err
	}
	d := &daemon{log: filepath.Join(s.dir, device+".log"), done: make(chan struct{})}
	log, err := os.OpenFile(d.log, os.O_CREATE|os.O_APPEND|os.O_WRONLY, 0o600)
	if err != nil {
		return nil, err
	}
	defer log.Close()
	config, dir := s.config(device), ""
	if s.byHand { // from the folder of the configuration, as people do
		dir, config = filepath.Split(config)
	}
	d.cmd = exec.Command(s.program[0], append(slices.Clone(s.program[1:]), "run", "--verbose", "--config", config)...)
	d.cmd.Dir = dir
	d.cmd.Stderr, d.cmd.Env = log, append(os.Environ(), env...)
	if s.boot != "" {
		file := filepath.Join(s.dir, "boot_id")
		if err := os.WriteFile(file, []byte(s.boot+"\n"), 0o600); err != nil {
			return nil, err
		}
		d.cmd.SysProcAttr, d.cmd.Env = ownMounts(), append(d.cmd.Env, bootFile+"="+file)
	}
	if err := d.cmd.Start(); err != nil {
		return nil, err
	}
	go func() {
		_ = d.cmd.Wait() // how it ended is in ProcessState
		close(d.done)
	}()
	s.daemons[device] = d
	return d, nil
}

// kill ends it as a power cut does.
func (d *daemon) kill() {
	_ = d.cmd.Process.Kill() // it may have ended by itself
	<-d.done
}

// wait waits for its own end.
func (d *daemon) wait() error {
	select {
	case <-d.done:
		return nil
	case <-time.After(patience):
		return errors.New("ratchetd does not end")
	}
}

func (d *daemon) signal(s syscall.Signal) error { return d.cmd.Process.Signal(s) }

var unsound = regexp.MustCompile(`(?m)^panic:|DATA RACE|^fatal error:|a bug in ratchet`)

// sane checks what it said against what no ratchetd ever says.
func (d *daemon) sane() error {
	text, err := os.ReadFile(d.log)
	if err != nil {
		return err
	}
	if at := unsound.FindIndex(text); at != nil {
		return fmt.Errorf("ratchetd is unsound: %s", text[at[0]:min(len(text), at[0]+4000)])
	}
	return nil
}
