package aws

import (
	"fmt"
	"strings"
	"testing"

	"github.com/ratchetd/ratchet/agent/dialect"
)

func TestOnPort443TLSNamesTheWayToMQTT(t *testing.T) {
	for _, c := range []struct {
		settings dialect.Settings
		want     string
	}{
		{dialect.Settings{Broker: "tls://x.amazonaws.com:8883", Cert: true}, "[]"},
		{dialect.Settings{Broker: "tls://x.amazonaws.com:443", Cert: true}, "[x-amzn-mqtt-ca]"},
		{dialect.Settings{Broker: "tls://x.amazonaws.com:443"}, "[mqtt]"},
		{dialect.Settings{Broker: "wss://x.amazonaws.com:443"}, "[]"},
	} {
		address, protocols := Service.Find(c.settings)
		if got := fmt.Sprint(protocols); got != c.want || address != c.settings.Broker {
			t.Errorf("%+v: got %s at %s, want %s", c.settings, got, address, c.want)
		}
	}
}

func TestAThingNeedsANameThatTheRegistryTakes(t *testing.T) {
	for name, want := range map[string]string{"gw-1:a_b": "", "": "want the name of the thing", "a.b": "want the name of a thing", strings.Repeat("a", 129): "want the name of a thing"} {
		got := ""
		if err := Service.Check(dialect.Settings{Device: name}); err != nil {
			got = err.Error()
		}
		if (got == "") != (want == "") || !strings.Contains(got, want) {
			t.Errorf("%q: got %q, want %q", name, got, want)
		}
	}
	if err := Service.Check(dialect.Settings{Device: "gw-1", Key: true}); err == nil || !strings.Contains(err.Error(), "link.sasKeyFile") {
		t.Errorf("got %v, want a key refused that is for another service", err)
	}
}
