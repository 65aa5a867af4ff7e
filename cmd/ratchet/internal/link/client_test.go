package link

import (
	"context"
	"crypto/tls"
	"crypto/x509"
	"log/slog"
	"net"
	"os"
	"path/filepath"
	"strings"
	"testing"
	"time"

	broker "github.com/mochi-mqtt/server/v2"
	"github.com/mochi-mqtt/server/v2/hooks/auth"
	"github.com/mochi-mqtt/server/v2/listeners"
	"github.com/ratchetd/ratchet/agent/dialect"
	"github.com/ratchetd/ratchet/scripts/authority"
)

// guardedBroker lets in user "ops" with password "secret" only, who may not
// read below "closed". It returns the listener's address.
func guardedBroker(t *testing.T, l listeners.Listener) string {
	t.Helper()
	b := broker.New(&broker.Options{Logger: slog.New(slog.DiscardHandler)})
	rules := &auth.Ledger{
		Auth: auth.AuthRules{{Username: "ops", Password: "secret", Allow: true}},
		ACL:  auth.ACLRules{{Username: "ops", Filters: auth.Filters{"r/#": auth.ReadWrite, "closed/#": auth.Deny}}},
	}
	if err := b.AddHook(new(auth.Hook), &auth.Options{Ledger: rules}); err != nil {
		t.Fatal(err)
	}
	if err := b.AddListener(l); err != nil {
		t.Fatal(err)
	}
	if err := b.Serve(); err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { _ = b.Close() })
	if _, web := l.(*listeners.Websocket); !web { // it listens already, and a connection that only looks races with Close
		return l.Address()
	}
	for range 500 { // a websocket listener begins to listen a little later
		c, err := net.DialTimeout("tcp", l.Address(), time.Second)
		if err == nil {
			_ = c.Close()
			return l.Address()
		}
		time.Sleep(10 * time.Millisecond)
	}
	t.Fatalf("nobody listens at %s", l.Address())
	return ""
}

func file(t *testing.T, name string, content []byte) string {
	t.Helper()
	path := filepath.Join(t.TempDir(), name)
	if err := os.WriteFile(path, content, 0o600); err != nil {
		t.Fatal(err)
	}
	return path
}

func TestEveryWayToTheBroker(t *testing.T) {
	own, err := authority.Own("test", time.Hour)
	if err != nil {
		t.Fatal(err)
	}
	pair, err := own.TLS()
	if err != nil {
		t.Fatal(err)
	}
	cert, key := file(t, "cert.pem", own.Cert), file(t, "key.pem", own.Key)
	known := x509.NewCertPool()
	known.AppendCertsFromPEM(own.Cert)
	mutual := &tls.Config{Certificates: []tls.Certificate{pair}, ClientCAs: known, ClientAuth: tls.RequireAndVerifyClientCert}
	at := func(id string, c *tls.Config) listeners.Config {
		return listeners.Config{ID: id, Address: freeAddress(t), TLSConfig: c}
	}
	good := Options{Username: "ops", PasswordFile: file(t, "password", []byte("secret\n")), CA: cert, Cert: cert, Key: key, Root: "r"}
	ways := map[string]string{
		"tcp://": guardedBroker(t, listeners.NewTCP(at("tcp", nil))),
		"tls://": guardedBroker(t, listeners.NewTCP(at("tls", mutual))),
		"ws://":  guardedBroker(t, listeners.NewWebsocket(at("ws", nil))),
		"wss://": guardedBroker(t, listeners.NewWebsocket(at("wss", mutual))),
	}
	for scheme, address := range ways {
		o := good
		o.Broker = scheme + address
		if err := o.Validate(); err != nil {
			t.Errorf("%s: %v", o.Broker, err)
		}
		c, err := Connect(t.Context(), o)
		if err != nil {
			t.Errorf("%s: %v", o.Broker, err)
			continue
		}
		roundTrip(t, c)
		c.Close()
	}
	stranger := good
	stranger.Broker, stranger.PasswordFile = "tcp://"+ways["tcp://"], file(t, "password", []byte("guess"))
	if _, err := Connect(t.Context(), stranger); err == nil || !strings.Contains(err.Error(), "connecting to") {
		t.Errorf("a wrong password: %v, want a refusal", err)
	}
	unknown := good
	unknown.Broker, unknown.CA = "tls://"+ways["tls://"], ""
	if _, err := Connect(t.Context(), unknown); err == nil || !strings.Contains(err.Error(), "certificate") {
		t.Errorf("an unknown broker: %v, want an error about its certificate", err)
	}
}

// freeAddress is an address that was free just now: a websocket listener does
// not tell which port it got.
func freeAddress(t *testing.T) string {
	t.Helper()
	l, err := net.Listen("tcp", "127.0.0.1:0")
	if err != nil {
		t.Fatal(err)
	}
	defer l.Close()
	return l.Addr().String()
}

func roundTrip(t *testing.T, c *Client) {
	t.Helper()
	to := dialect.Topic{To: "all", Name: "j"}
	if err := c.Publish(t.Context(), to, []byte("hello")); err != nil {
		t.Error(err)
	}
	var got []string
	if err := c.ReadRetained(t.Context(), func(m Message) { got = append(got, string(m.Payload)) }, "r/jobs/all/+"); err != nil {
		t.Error(err)
	}
	if len(got) != 1 || got[0] != "hello" {
		t.Errorf("retained: %q, want hello", got)
	}
}

func TestWhatTheBrokerWillNotShowIsSaid(t *testing.T) {
	o := Options{Broker: "tcp://" + guardedBroker(t, listeners.NewTCP(listeners.Config{ID: "a", Address: "127.0.0.1:0"})),
		Username: "ops", PasswordFile: file(t, "password", []byte("secret")), Root: "closed"}
	c, err := Connect(t.Context(), o)
	if err != nil {
		t.Fatal(err)
	}
	defer c.Close()
	err = c.ReadRetained(t.Context(), func(Message) {}, "closed/jobs/all/+")
	if err == nil || !strings.Contains(err.Error(), "refuses to let this user read closed/jobs/all/+") {
		t.Errorf("settle: %v, want the filter's name", err)
	}
}

// TestWatchOutlivesTheBroker restarts the broker under a subscription.
func TestWatchOutlivesTheBroker(t *testing.T) {
	start := func(address string) (*broker.Server, string) {
		b := broker.New(&broker.Options{Logger: slog.New(slog.DiscardHandler)})
		l := listeners.NewTCP(listeners.Config{ID: "a", Address: address})
		for _, err := range []error{b.AddHook(new(auth.AllowHook), nil), b.AddListener(l), b.Serve()} {
			if err != nil {
				t.Fatal(err)
			}
		}
		return b, l.Address()
	}
	first, address := start("127.0.0.1:0")
	c, err := Connect(t.Context(), Options{Broker: "tcp://" + address, Root: "r"})
	if err != nil {
		t.Fatal(err)
	}
	defer c.Close()
	if err := c.ReadRetained(t.Context(), func(Message) {}, "r/jobs/all/+"); err != nil {
		t.Fatal(err)
	}
	_ = first.Close()
	select {
	case <-c.Lost():
	case <-time.After(time.Minute):
		t.Fatal("the loss was not noticed")
	}
	second, _ := start(address)
	t.Cleanup(func() { _ = second.Close() })
	other, err := Connect(t.Context(), Options{Broker: "tcp://" + address, Root: "r"})
	if err != nil {
		t.Fatal(err)
	}
	defer other.Close()
	ctx, cancel := context.WithTimeout(t.Context(), time.Minute) // the old one may take the connection and answer nothing
	defer cancel()
	if err := other.Publish(ctx, dialect.Topic{To: "all", Name: "j"}, []byte("after")); err != nil {
		t.Fatal(err)
	}
	select {
	case m := <-c.Feed():
		if string(m.Payload) != "after" {
			t.Errorf("got %q, want after", m.Payload)
		}
	case <-ctx.Done():
		t.Error("nothing came after the broker was back")
	}
}
