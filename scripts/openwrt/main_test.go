package openwrt

import (
	"os"
	"syscall"
	"testing"
)

// What the tests write is nobody else's, whatever the umask of who runs them.
func TestMain(m *testing.M) {
	syscall.Umask(0o022)
	os.Exit(m.Run())
}
