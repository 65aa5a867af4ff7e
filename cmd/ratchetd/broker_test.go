package main

import (
	"crypto/tls"
	"fmt"
	"log/slog"
	"net"
	"os"
	"os/exec"
	"path/filepath"
	"slices"
	"strings"
	"syscall"
	"time"

	mochi "github.com/mochi-mqtt/server/v2"
	"github.com/mochi-mqtt/server/v2/hooks/auth"
	"github.com/mochi-mqtt/server/v2/listeners"
	"github.com/mochi-mqtt/server/v2/packets"
)

// A brokerKind starts a broker on b's ports and tells how to stop it.
type brokerKind func(b *broker) (stop func() error, err error)

// A broker has a door for devices, with what the session asks for, and a plain
// one for the operator. It can be stopped and started on the same ports.
type broker struct {
	kind             brokerKind
	dir              string
	device, operator string   // addresses
	with             []string // of tls, ws and password
	stop             func() error
	kept             []packets.Packet // by an embedded broker while it is stopped
}

const (
	username = "gw-1"
	password = "only-for-this-test"
)

func newBroker(dir string, kind brokerKind) (*broker, error) {
	b := &broker{kind: kind, dir: dir}
	for _, address := range []*string{&b.device, &b.operator} {
		l, err := net.Listen("tcp", "127.0.0.1:0")
		if err != nil {
			return nil, err
		}
		*address = l.Addr().String()
		defer l.Close()
	}
	return b, nil
}

func (b *broker) url(scheme string) string { return scheme + "://" + b.device }

func (b *broker) has(what string) bool { return slices.Contains(b.with, what) }

// start returns when the broker can be reached.
func (b *broker) start() error {
	stop, err := b.kind(b)
	if err != nil {
		return fmt.Errorf("starting the broker: %w", err)
	}
	b.stop = stop
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
	if b.stop == nil {
		return nil
	}
	stop := b.stop
	b.stop = nil
	return stop()
}

// embedded runs in this process. When it is stopped it keeps what is retained
// but no session: what mosquitto does, and the broker that forgets, are both
// to be lived with.
func embedded(b *broker) (func() error, error) {
	s := mochi.New(&mochi.Options{InlineClient: true, Logger: slog.New(slog.DiscardHandler)})
	rules := auth.AuthRules{{Client: operatorID, Allow: true}, {Username: username, Password: password, Allow: true}}
	if !b.has("password") {
		rules = auth.AuthRules{{Allow: true}}
	}
	conf := listeners.Config{ID: "device", Address: b.device}
	if b.has("tls") {
		var err error
		if conf.TLSConfig, err = serverTLS(b.dir); err != nil {
			return nil, err
		}
	}
	var door listeners.Listener = listeners.NewTCP(conf)
	if b.has("ws") {
		door = listeners.NewWebsocket(conf)
	}
	for _, err := range []error{
		s.AddHook(new(auth.Hook), &auth.Options{Ledger: &auth.Ledger{Auth: rules}}),
		s.AddListener(door),
		s.AddListener(listeners.NewTCP(listeners.Config{ID: "operator", Address: b.operator})),
		s.Serve(),
	} {
		if err != nil {
			return nil, err
		}
	}
	for _, p := range b.kept {
		s.Topics.RetainMessage(p)
	}
	return func() error {
		b.kept = s.Topics.Messages("#")
		return s.Close()
	}, nil
}

func serverTLS(dir string) (*tls.Config, error) {
	pair, err := tls.LoadX509KeyPair(filepath.Join(dir, "broker.crt"), filepath.Join(dir, "broker.key"))
	if err != nil {
		return nil, err
	}
	pool, err := readPool(filepath.Join(dir, "ca.crt"))
	return &tls.Config{Certificates: []tls.Certificate{pair}, ClientCAs: pool, ClientAuth: tls.RequireAndVerifyClientCert}, err
}

// mosquitto runs the Debian package with a store that outlives it.
func mosquitto(b *broker) (func() error, error) {
	conf := filepath.Join(b.dir, "mosquitto.conf")
	text, err := b.mosquittoConf()
	if err != nil {
		return nil, err
	}
	if err := os.WriteFile(conf, []byte(text), 0o600); err != nil {
		return nil, err
	}
	cmd := exec.Command("mosquitto", "-c", conf)
	if err := cmd.Start(); err != nil {
		return nil, err
	}
	return func() error {
		if err := cmd.Process.Signal(syscall.SIGTERM); err != nil {
			return err
		}
		return cmd.Wait()
	}, nil
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
const patience = 40 * time.Second

// patiently tries until it works.
func patiently(try func() error) error {
	for end := time.Now().Add(patience); ; time.Sleep(10 * time.Millisecond) {
		if err := try(); err == nil || time.Now().After(end) {
			return err
		}
	}
}
