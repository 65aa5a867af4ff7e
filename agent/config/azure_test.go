package config

import (
	"strings"
	"testing"
	"time"
)

func TestATokenIsWhatAHubComputes(t *testing.T) {
	want := "SharedAccessSignature sr=fake.azure-devices.net%2Fdevices%2Fgw-1&sig=27mZ7LRPwNmalpDsR6umhxrTlcZAPxUHLESEvAb0rEw%3D&se=1764000000"
	if got := sasToken("fake.azure-devices.net/devices/gw-1", []byte("key"), time.Unix(1764000000, 0)); got != want {
		t.Errorf("got %s, want %s", got, want)
	}
}

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
		if err := l.Validate(); err != nil {
			got = err.Error()
		}
		if (got == "") != (c.want == "") || !strings.Contains(got, c.want) {
			t.Errorf("%s: got %q, want %q", c.name, got, c.want)
		}
	}
	if l := (Link{Dialect: "azure", Broker: "wss://hub.azure-devices.net"}); l.Address() != "wss://hub.azure-devices.net/$iothub/websocket" || l.HubName() != "hub.azure-devices.net" {
		t.Errorf("got %s of %s", l.Address(), l.HubName())
	}
}

func TestAHubsDeviceIdIsNoTopicWildcard(t *testing.T) {
	for _, name := range []string{"a/b", "a+b", "a#", "a%2f", strings.Repeat("a", 129)} {
		if err := (&Config{Device: name, Link: Link{Dialect: "azure"}}).validateDevice(""); err == nil {
			t.Errorf("%s was taken, want an error", name)
		}
	}
}
