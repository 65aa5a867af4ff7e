package main

import (
	"errors"
	"fmt"
	"math/rand/v2"
	"net"
	"os"
	"os/exec"
	"path/filepath"
	"slices"
	"strings"
	"sync/atomic"
	"syscall"
	"time"
)

// A brokerKind is the program that a broker is.
type brokerKind func(b *broker) (*exec.Cmd, error)

// A broker has a door for devices, with what the session asks for, and a plain
// one for the operator. It can be stopped and started on the same ports.
type broker struct {
	kind             brokerKind
	dir              string   // of what it keeps while it is stopped
	device, operator string   // addresses
	with             []string // of tls, ws and password
	process          *exec.Cmd
}

const (
	username = "gw-1"
	password = "only-for-this-test"
)

func newBroker(dir string, kind brokerKind) *broker {
	return &broker{kind: kind, dir: dir, device: freeAddress(), operator: freeAddress()}
}

var lastPort atomic.Int32

// freeAddress is one that stays free while nobody listens: it lies below the
// ports that the kernel gives to clients.
func freeAddress() string {
	lastPort.CompareAndSwap(0, 10000+rand.Int32N(20000))
	for {
		address := fmt.Sprintf("127.0.0.1:%d", lastPort.Add(1))
		if l, err := net.Listen("tcp", address); err == nil {
			l.Close()
			return address
		}
	}
}

func (b *broker) url(scheme string) string { return scheme + "://" + b.device }

func (b *broker) has(what string) bool { return slices.Contains(b.with, what) }

// start returns when the broker can be reached.
func (b *broker) start() error {
	cmd, err := b.kind(b)
	if err == nil {
		err = cmd.Start()
	}
	if err != nil {
		return fmt.Errorf("starting the broker: %w", err)
	}
	b.process = cmd
	for _, address := range []string{b.operator, b.device} {
		err := patiently(func() error {
			c, err := net.Dial("tcp", address)
			if err == nil {
				c.Close()
			}
			return err
		})
		if err != nil {
			return err
		}
	}
	return nil
}

func (b *broker) end() error {
	if b.process == nil {
		return nil
	}
	cmd := b.process
	b.process = nil
	if err := cmd.Process.Signal(syscall.SIGTERM); err != nil {
		return err
	}
	defer time.AfterFunc(patience, func() { _ = cmd.Process.Kill() }).Stop()
	return cmd.Wait()
}

// forget takes from a stopped broker what it keeps.
func (b *broker) forget() error {
	return errors.Join(os.RemoveAll(filepath.Join(b.dir, "mosquitto.db")), os.RemoveAll(filepath.Join(b.dir, "retained")))
}

// mosquitto is the Debian package, with a store that outlives it.
func mosquitto(b *broker) (*exec.Cmd, error) {
	conf := filepath.Join(b.dir, "mosquitto.conf")
	text, err := b.mosquittoConf()
	if err == nil {
		err = os.WriteFile(conf, []byte(text), 0o600)
	}
	return exec.Command("mosquitto", "-c", conf), err
}

func (b *broker) mosquittoConf() (string, error) {
	_, door, _ := net.SplitHostPort(b.device)
	_, back, _ := net.SplitHostPort(b.operator)
	lines := []string{"user root", "per_listener_settings true", "persistence true", "persistence_location " + b.dir + "/",
		"listener " + back + " 127.0.0.1", "allow_anonymous true", "listener " + door + " 127.0.0.1"}
	if b.has("ws") {
		lines = append(lines, "protocol websockets")
	}
	if b.has("tls") {
		lines = append(lines, "cafile "+b.dir+"/ca.crt", "certfile "+b.dir+"/broker.crt", "keyfile "+b.dir+"/broker.key", "require_certificate true")
	}
	if !b.has("password") {
		return strings.Join(append(lines, "allow_anonymous true", ""), "\n"), nil
	}
	users := filepath.Join(b.dir, "users")
	out, err := exec.Command("mosquitto_passwd", "-c", "-b", users, username, password).CombinedOutput()
	if err != nil {
		return "", fmt.Errorf("%w: %s", err, out)
	}
	return strings.Join(append(lines, "allow_anonymous false", "password_file "+users, ""), "\n"), nil
}

// patience bounds every wait of these tests.
const patience = 2 * time.Minute

// patiently tries until it works.
func patiently(try func() error) error {
	for end := time.Now().Add(patience); ; time.Sleep(10 * time.Millisecond) {
		if err := try(); err == nil || time.Now().After(end) {
			return err
		}
	}
}
