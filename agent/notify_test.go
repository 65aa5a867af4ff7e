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

func newSystemd(t *testing.T) systemd {
	t.Helper()
	path := filepath.Join(t.TempDir(), "notify")
	conn, err := net.ListenUnixgram("unixgram", &net.UnixAddr{Name: path, Net: "unixgram"})
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { conn.Close() })
	t.Setenv("NOTIFY_SOCKET", path)
	t.Setenv("WATCHDOG_USEC", "800000")
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
	if !s.hears("READY=1\nSTATUS=not connected, unfinished jobs: 0", 10*time.Second) {
		t.Fatal("systemd was not told that the agent is ready")
	}
	for range 5 {
		if !s.hears("WATCHDOG=1\nSTATUS=not connected", 10*time.Second) {
			t.Fatal("the watchdog is not fed")
		}
	}
	thaw := d.freeze()
	time.Sleep(50 * time.Millisecond) // what was said before that is on its way
	s.drain()
	if !s.hears("WATCHDOG=1", 10*time.Second) {
		t.Error("the firmware is flashed, which holds up every commit, and the watchdog is not fed")
	}
	thaw()
	go d.stop()
	if !s.hears("STOPPING=1", 10*time.Second) {
		t.Error("systemd was not told that the agent stops")
	}
	d.stop()
}
