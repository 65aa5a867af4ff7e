package azure

import (
	"strings"
	"testing"
	"time"

	"github.com/ratchetd/ratchet/agent/dialect"
)

func TestATokenIsWhatAHubComputes(t *testing.T) {
	want := "SharedAccessSignature sr=fake.azure-devices.net%2Fdevices%2Fgw-1&sig=27mZ7LRPwNmalpDsR6umhxrTlcZAPxUHLESEvAb0rEw%3D&se=1764000000"
	if got := token("fake.azure-devices.net/devices/gw-1", []byte("key"), time.Unix(1764000000, 0)); got != want {
		t.Errorf("got %s, want %s", got, want)
	}
}

func TestAHubsDeviceIdIsNoTopicWildcard(t *testing.T) {
	for name, good := range map[string]bool{"gw-1:a.b_c": true, "a/b": false, "a+b": false, "a#": false, "a%2f": false, strings.Repeat("a", 129): false} {
		if err := Service.Check(dialect.Settings{Device: name, Key: true}); (err == nil) != good {
			t.Errorf("%s: got %v", name, err)
		}
	}
}

func TestADeviceLogsInWithATokenOrACertificate(t *testing.T) {
	now := time.Unix(1764000000, 0)
	byKey, err := Service.Login(dialect.Settings{Device: "gw-1", Broker: "tls://h.azure-devices.net:8883", Key: true, TokenLife: 100 * time.Second}, "a2V5\n", now)
	if err != nil || byKey.Username != "h.azure-devices.net/gw-1/?api-version=2021-04-12" || byKey.Renew != 80*time.Second ||
		!strings.HasSuffix(byKey.Password, "&se=1764000100") {
		t.Errorf("got %+v, %v, want a token for 100 s, renewed after 80", byKey, err)
	}
	byCertificate, err := Service.Login(dialect.Settings{Device: "gw-1", Broker: "tls://front:8883", Hub: "h.azure-devices.net", Cert: true}, "", now)
	if err != nil || byCertificate.Username != byKey.Username || byCertificate.Password != "" || byCertificate.Renew != 0 {
		t.Errorf("got %+v, %v, want the hub's name, no password and no renewal", byCertificate, err)
	}
	if _, err := Service.Login(dialect.Settings{Device: "gw-1", Broker: "tls://h:8883", Key: true}, "no base64!", now); err == nil || !strings.Contains(err.Error(), "base64") {
		t.Errorf("got %v, want the key refused", err)
	}
}

func TestAConnectionStringNamesHubDeviceAndKey(t *testing.T) {
	host, device, key, ok, err := ParseConnectionString("HostName=h.azure-devices.net;DeviceId=gw-1;SharedAccessKey=a2V5==")
	if host != "h.azure-devices.net" || device != "gw-1" || key != "a2V5==" || !ok || err != nil {
		t.Errorf("got %s %s %s, %v, %v", host, device, key, ok, err)
	}
	if _, _, _, ok, err := ParseConnectionString("a password"); ok || err != nil {
		t.Errorf("got %v, %v for a password", ok, err)
	}
	for _, bad := range []string{"HostName=h;SharedAccessKey=k", "HostName=h;DeviceId=d;ModuleId=m;SharedAccessKey=k", "DeviceId=d;SharedAccessKey=k"} {
		if _, _, _, ok, err := ParseConnectionString(bad); !ok || err == nil {
			t.Errorf("%s: got %v, %v, want an error", bad, ok, err)
		}
	}
}
