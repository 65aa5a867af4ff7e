package config

import (
	"os"
	"path/filepath"
	"strings"
	"testing"
)

func TestAKeyMayComeAsACredentialOfTheService(t *testing.T) {
	dir := t.TempDir()
	text := least + "cert = \"device.pem\"\nkey = \"$CREDENTIALS_DIRECTORY/device.key\"\n"
	files := map[string]string{"ratchet.toml": text, "device.pem": "x"}
	if _, err := loadFrom(t, files); err == nil || !strings.Contains(err.Error(), "/run/credentials/ratchetd.service/device.key") {
		t.Errorf("outside of the service: got %v, want the service's folder in it", err)
	}
	t.Setenv("CREDENTIALS_DIRECTORY", dir)
	key := filepath.Join(dir, "device.key")
	for mode, fine := range map[os.FileMode]bool{0o400: true, 0o440: true, 0o444: false} {
		os.Remove(key)
		if err := os.WriteFile(key, []byte("x"), mode); err != nil {
			t.Fatal(err)
		}
		c, err := loadFrom(t, files)
		if (err == nil) != fine {
			t.Errorf("mode %04o: got %v", mode, err)
		}
		if fine && c.Link.Key != key {
			t.Errorf("got %s, want %s", c.Link.Key, key)
		}
	}
}
