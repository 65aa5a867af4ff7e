package link

import (
	"fmt"
	"net"
	"net/http"
	"net/http/httptest"
	"os"
	"path/filepath"
	"strings"
	"testing"

	mqtt "github.com/eclipse/paho.mqtt.golang/packets"

	"github.com/ratchetd/ratchet/agent/config"
	"github.com/ratchetd/ratchet/agent/link/packet/packettest"
)

// Whatever code a broker refuses a connection with, the connection does not
// stand, and the error has the code, and what the service means by it.
func TestEveryCodeThatRefusesAConnectionIsNamedWithItsCause(t *testing.T) {
	const credentials, aws, hub = "link.username", "iot:Connect", "is it registered there"
	for _, c := range []struct {
		dialect string
		code    byte // 0: the broker hangs up
		want    []string
	}{
		{"plain", 4, []string{"bad user name", credentials}},
		{"plain", 5, []string{"not Authorized", credentials}},
		{"plain", 6, []string{"code 6"}},
		{"plain", 135, []string{"code 135", credentials}},
		{"plain", 255, []string{"code 255"}},
		{"aws", 5, []string{"not Authorized", aws}},
		{"aws", 7, []string{"code 7", aws}},
		{"aws", 0, []string{"EOF", aws}},
		{"azure", 5, []string{"not Authorized", hub}},
		{"azure", 0, []string{"EOF", hub}},
	} {
		t.Run(fmt.Sprint(c.dialect, " ", c.code), func(t *testing.T) {
			t.Parallel()
			b := packettest.Broker{Answer: func(p mqtt.ControlPacket) ([]byte, bool) {
				_, connect := p.(*mqtt.ConnectPacket)
				return []byte{0x20, 2, 0, c.code}, connect
			}}
			address := "tcp://" + b.Serve(t)
			if c.code == 0 {
				address = "tcp://" + hangUp(t)
			}
			_, err := Try(t.Context(), service(t, c.dialect, address))
			for _, want := range c.want {
				if err == nil || !strings.Contains(err.Error(), want) {
					t.Errorf("got %v, want %q in it", err, want)
				}
			}
		})
	}
}

// A gateway for WebSockets refuses before MQTT begins.
func TestAWebSocketThatIsRefusedIsNamedWithItsCause(t *testing.T) {
	for status, want := range map[int]string{401: "link.username", 403: "link.username", 404: "check the path"} {
		server := httptest.NewServer(http.HandlerFunc(func(w http.ResponseWriter, _ *http.Request) { w.WriteHeader(status) }))
		defer server.Close()
		_, err := Try(t.Context(), service(t, "plain", "ws"+strings.TrimPrefix(server.URL, "http")))
		if err == nil || !strings.Contains(err.Error(), fmt.Sprint(status)) || !strings.Contains(err.Error(), want) {
			t.Errorf("%d: got %v, want %q in it", status, err, want)
		}
	}
}

// service is the configuration of a device at that service.
func service(t *testing.T, dialect, broker string) *config.Config {
	t.Helper()
	dir := t.TempDir()
	text := fmt.Sprintf("device = \"gw-1\"\nstate = %q\n[link]\nbroker = %q\ndialect = %q\n", filepath.Join(dir, "state"), broker, dialect)
	if dialect == "azure" {
		text += "sasKeyFile = \"sas.key\"\n"
	}
	for name, text := range map[string]string{"ratchet.toml": text, "sas.key": "a2V5"} {
		if err := os.WriteFile(filepath.Join(dir, name), []byte(text), 0o600); err != nil {
			t.Fatal(err)
		}
	}
	c, err := config.Load(filepath.Join(dir, "ratchet.toml"))
	if err != nil {
		t.Fatal(err)
	}
	return c
}

// hangUp is a broker that reads what a device says first, and ends the connection.
func hangUp(t *testing.T) string {
	l, err := net.Listen("tcp", "127.0.0.1:0")
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { l.Close() })
	go func() {
		for {
			conn, err := l.Accept()
			if err != nil {
				return
			}
			_, _ = mqtt.ReadPacket(conn) // whatever it is
			conn.Close()
		}
	}()
	return l.Addr().String()
}
