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
