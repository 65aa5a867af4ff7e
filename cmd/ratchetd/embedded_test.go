package main

import (
	"crypto/tls"
	"encoding/json"
	"errors"
	"io/fs"
	"log/slog"
	"os"
	"os/exec"
	"os/signal"
	"path/filepath"
	"syscall"

	mochi "github.com/mochi-mqtt/server/v2"
	"github.com/mochi-mqtt/server/v2/hooks/auth"
	"github.com/mochi-mqtt/server/v2/listeners"

	"github.com/ratchetd/ratchet/scripts/authority"
)

// embedded is the broker library in a process of its own: it has data races
// between publishing and subscribing, which the race detector is to overlook.
// When it is stopped it keeps what is retained but no session: what mosquitto
// does, and a broker without sessions, are both to be lived with.
func embedded(b *broker) (*exec.Cmd, error) {
	cmd := exec.Command("embedded-broker", append([]string{b.dir, b.device, b.operator}, b.with...)...)
	cmd.Env = append(os.Environ(), "GORACE=exitcode=0 log_path="+filepath.Join(b.dir, "race"))
	cmd.Stderr = os.Stderr
	return cmd, nil
}

// embeddedBroker is that process.
func embeddedBroker() {
	b := &broker{dir: os.Args[1], device: os.Args[2], operator: os.Args[3], with: os.Args[4:]}
	stopped := make(chan os.Signal, 1)
	signal.Notify(stopped, syscall.SIGTERM)
	s, err := b.serve()
	if err != nil {
		panic(err)
	}
	<-stopped
	if err := b.keep(s); err != nil { // s.Close may wait for a client for ever
		panic(err)
	}
}

func (b *broker) serve() (*mochi.Server, error) {
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
	return s, errors.Join(
		s.AddHook(new(auth.Hook), &auth.Options{Ledger: &auth.Ledger{Auth: rules}}),
		b.restore(s),
		s.AddListener(door),
		s.AddListener(listeners.NewTCP(listeners.Config{ID: "operator", Address: b.operator})),
		s.Serve(),
	)
}

func serverTLS(dir string) (*tls.Config, error) {
	pair, err := tls.LoadX509KeyPair(filepath.Join(dir, "broker.crt"), filepath.Join(dir, "broker.key"))
	if err != nil {
		return nil, err
	}
	pool, err := authority.Pool(filepath.Join(dir, "ca.crt"))
	return &tls.Config{Certificates: []tls.Certificate{pair}, ClientCAs: pool, ClientAuth: tls.RequireAndVerifyClientCert}, err
}

// keep writes what is retained to a file, for restore.
func (b *broker) keep(s *mochi.Server) error {
	kept := map[string][]byte{}
	for topic, p := range s.Topics.Retained.GetAll() {
		kept[topic] = p.Payload
	}
	text, err := json.Marshal(kept)
	if err != nil {
		return err
	}
	return os.WriteFile(filepath.Join(b.dir, "retained"), text, 0o600)
}

func (b *broker) restore(s *mochi.Server) error {
	text, err := os.ReadFile(filepath.Join(b.dir, "retained"))
	if errors.Is(err, fs.ErrNotExist) {
		return nil
	}
	var kept map[string][]byte
	if err := errors.Join(err, json.Unmarshal(text, &kept)); err != nil {
		return err
	}
	for topic, payload := range kept {
		if err := s.Publish(topic, payload, true, 1); err != nil {
			return err
		}
	}
	return nil
}
