package main

import (
	"encoding/base64"
	"net"
	"net/http/httptest"
	"os"
	"path/filepath"
	"reflect"
	"testing"

	"github.com/ratchetd/ratchet/scripts/fakecloud"
	"github.com/ratchetd/ratchet/scripts/fakecloud/nodeclient"
	"github.com/ratchetd/ratchet/scripts/fakehub/hub"
)

// site is a hub with gw-1 in it, and how Microsoft's clients get there.
func site(t *testing.T) (*hub.Hub, []string) {
	t.Helper()
	if os.Getenv("RATCHET_E2E") == "" {
		t.Skip("Microsoft's own clients are tried with RATCHET_E2E=1")
	}
	certs := t.TempDir()
	config, err := fakecloud.TLS(certs, "gw-1")
	if err != nil {
		t.Fatal(err)
	}
	h := &hub.Hub{Host: "fake.azure-devices.net", TLS: config}
	if err := h.Start(); err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() {
		if drops := h.Drops(); len(drops) > 0 {
			t.Errorf("a real client was dropped for %q", drops)
		}
		h.Close()
	})
	key := []byte("key")
	h.AddDevice("gw-1", key)
	s := httptest.NewUnstartedServer(h.Service())
	s.TLS = config
	s.StartTLS()
	t.Cleanup(s.Close)
	return h, []string{h.Host, port(t, h.Address()), port(t, s.Listener.Addr().String()), filepath.Join(certs, "ca.crt"),
		"gw-1", base64.StdEncoding.EncodeToString(key)}
}

func port(t *testing.T, address string) string {
	t.Helper()
	_, p, err := net.SplitHostPort(address)
	if err != nil {
		t.Fatal(err)
	}
	return p
}

func TestE2EMicrosoftsClientsGetTheServicesOwnAnswers(t *testing.T) {
	h, to := site(t)
	if err := h.Send("gw-1", "n=1", []byte("early")); err != nil { // waits for the subscription
		t.Fatal(err)
	}
	c := nodeclient.Start(t, "sdk", "hub.js", to...)
	var said map[string]any
	if !c.Next(&said) {
		c.End()
		t.Fatalf("the clients said nothing; dropped for %q", h.Drops())
	}
	type object = map[string]any
	want := object{"made": "disabled", "twice": "DeviceAlreadyExistsError", "listed": []any{"gw-1", "gw-2"}, "keys": true, "gone": "DeviceNotFoundError",
		"etag": "berlin", "stale": "InvalidEtagError", "desired": object{"a": 1.0}, "rows": []any{object{"deviceId": "gw-1", "site": "berlin"}},
		"echo": object{"status": 418.0, "payload": object{"got": object{"n": 1.0}}}, "empty": object{"status": 204.0, "payload": nil},
		"bounds": "ArgumentError", "nobody": "DeviceNotFoundError", "configured": object{"on": true}, "configurations": []any{"roll"}, "applied": 1.0,
		"cancelled": "cancelled", "job": "completed", "jobs": []any{"call"}}
	for name, want := range want {
		if got := said[name]; !reflect.DeepEqual(got, want) {
			t.Errorf("%s: got %v, want %v", name, got, want)
		}
	}
	var came struct{ Message, Property string }
	if !c.Next(&came) || came.Message != "early" || came.Property != "1" {
		t.Errorf("got %+v, want the message that waited", came)
	}
	c.End()
	events := h.Messages("gw-1")
	if len(events) != 1 || string(events[0].Payload) != `{"n":1}` || events[0].Properties["$.ct"] != "application/json" || events[0].Properties["kind"] != "health" {
		t.Errorf("got the events %v, want one", events)
	}
	if d, err := h.Device("gw-1"); err != nil || d.Waiting != 0 {
		t.Errorf("got %+v, %v, want no message left", d, err)
	}
}
