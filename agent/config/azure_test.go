package config

import (
	"strings"
	"testing"
	"time"
)

func TestAnAzureLinkSaysWhatItMisses(t *testing.T) {
	base := Link{Dialect: "azure", Broker: "tls://hub.azure-devices.net:8883", Root: "ratchet/v1"}
	for _, c := range []struct {
		name string
		set  func(*Link)
		want string
	}{
		{"a key", func(l *Link) { l.SASKeyFile = "/k" }, ""},
		{"a certificate", func(l *Link) { l.Cert, l.Key = "/c", "/k" }, ""},
		{"neither", func(*Link) {}, "wants link.sasKeyFile, or link.cert"},
		{"both", func(l *Link) { l.SASKeyFile, l.Cert, l.Key = "/k", "/c", "/k" }, "wants link.sasKeyFile, or link.cert"},
		{"a user", func(l *Link) { l.SASKeyFile, l.Username = "/k", "me" }, "makes them itself"},
		{"a short life", func(l *Link) { l.SASKeyFile, l.TokenLife = "/k", Duration(time.Second) }, "link.tokenLife"},
		{"a key elsewhere", func(l *Link) { l.Dialect, l.SASKeyFile = "plain", "/k" }, "for the azure dialect"},
	} {
		l := base
		c.set(&l)
		got := ""
		if err := (&Config{Device: "gw-1", Link: l}).ValidateLink(); err != nil {
			got = err.Error()
		}
		if (got == "") != (c.want == "") || !strings.Contains(got, c.want) {
			t.Errorf("%s: got %q, want %q", c.name, got, c.want)
		}
	}
	c := Config{Device: "gw-1", Link: Link{Dialect: "azure", Broker: "wss://hub.azure-devices.net"}}
	if got, want := c.Address(), "wss://hub.azure-devices.net/$iothub/websocket"; got != want {
		t.Errorf("got %s, want %s", got, want)
	}
}
