package agent

import (
	"net"
	"path/filepath"
	"strings"
	"testing"
	"time"
)

// A systemd is what the agent's words to it arrive at.
type systemd struct {
	t *testing.T
	*net.UnixConn
}

// newSystemd is one that wants to hear of this process every four seconds.
func newSystemd(t *testing.T) systemd {
	t.Helper()
	path := filepath.Join(t.TempDir(), "notify")
	conn, err := net.ListenUnixgram("unixgram", &net.UnixAddr{Name: path, Net: "unixgram"})
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { conn.Close() })
	t.Setenv("NOTIFY_SOCKET", path)
	t.Setenv("WATCHDOG_USEC", "4000000")
	t.Setenv("WATCHDOG_PID", "")
	return systemd{t, conn}
}

// hears reports whether what begins with prefix came within d.
func (s systemd) hears(prefix string, d time.Duration) bool {
	s.t.Helper()
	if err := s.SetReadDeadline(time.Now().Add(d)); err != nil {
		s.t.Fatal(err)
	}
	for buffer := make([]byte, 1024); ; {
		n, err := s.Read(buffer)
		if err != nil {
			return false
		}
		if strings.HasPrefix(string(buffer[:n]), prefix) {
			return true
		}
	}
}

// drain drops what has come already.
func (s systemd) drain() { s.hears("nothing", 10*time.Millisecond) }

func TestTheWatchdogIsFedAsLongAsAllGetOn(t *testing.T) {
	s := newSystemd(t)
	d := newDevice(t, &broker{addr: "127.0.0.1:1"}, "").start()
	if !s.hears("READY=1\nSTATUS=not connected, unfinished jobs: 0", patience) {
		t.Fatal("systemd was not told that the agent is ready")
	}
	for range 2 {
		if !s.hears("WATCHDOG=1\nSTATUS=not connected", patience) {
			t.Fatal("the watchdog is not fed")
		}
	}
	thaw := d.freeze()
	s.drain()
	for range 2 { // the first may have been on its way
		if !s.hears("WATCHDOG=1", patience) {
			t.Error("the firmware is flashed, which holds up every commit, and the watchdog is not fed")
		}
	}
	thaw()
	go d.stop()
	if !s.hears("STOPPING=1", patience) {
		t.Error("systemd was not told that the agent stops")
	}
	d.stop()
}
