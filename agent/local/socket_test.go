package local

import (
	"context"
	"net"
	"os"
	"path/filepath"
	"runtime"
	"strings"
	"syscall"
	"testing"
)

func TestTheSocketOfAKilledAgentIsReplaced(t *testing.T) {
	path := Path(t.TempDir())
	killed, err := net.ListenUnix("unix", &net.UnixAddr{Name: path, Net: "unix"})
	if err != nil {
		t.Fatal(err)
	}
	killed.SetUnlinkOnClose(false)
	killed.Close()
	if _, err := ask(t, path, Request{Do: "status"}); !strings.Contains(errText(err), "no ratchetd answers") {
		t.Errorf("got %v, want that nobody answers", err)
	}
	startLocal(t, path, 0, echo)
	if _, err := ask(t, path, Request{Do: "status"}); err != nil {
		t.Error(err)
	}
}

func TestAFileInTheWayIsKept(t *testing.T) {
	path := Path(t.TempDir())
	if err := os.WriteFile(path, []byte("mine"), 0o600); err != nil {
		t.Fatal(err)
	}
	err := (&Server{Path: path}).Run(t.Context())
	if got := errText(err); !strings.Contains(got, "is in the way and no socket") {
		t.Errorf("got %q", got)
	}
	if got, _ := os.ReadFile(path); string(got) != "mine" {
		t.Errorf("got %q, want the file as it was", got)
	}
}

func TestAPathTooLongForASocketAddressWorks(t *testing.T) {
	dir := filepath.Join(t.TempDir(), strings.Repeat("d", 100), strings.Repeat("e", 100))
	if err := os.MkdirAll(dir, 0o700); err != nil {
		t.Fatal(err)
	}
	path := Path(dir)
	stop := startLocal(t, path, 0, echo)
	if got, err := ask(t, path, Request{Do: "jobs", ID: "a"}); err != nil || len(got) != 1 {
		t.Errorf("got %q (%v), want one value", got, err)
	}
	stop()
	if left, err := os.ReadDir(dir); err != nil || len(left) != 0 {
		t.Errorf("got %v left behind (%v)", left, err)
	}
}

func TestOnlyTheOwnerAndRootAreAnswered(t *testing.T) {
	dir := t.TempDir()
	path := Path(dir)
	startLocal(t, path, 0, echo)
	info, err := os.Stat(path)
	if err != nil || info.Mode().Perm() != 0o600 {
		t.Fatalf("got mode %v (%v), want 0600", info.Mode().Perm(), err)
	}
	if os.Getuid() != 0 {
		t.Skip("only root can become somebody else")
	}
	const nobody = 65534
	if got := errText(askAs(nobody, path)); !strings.Contains(got, "only root and the user") {
		t.Errorf("got %q from a socket of mode 0600", got)
	}
	// The parents too are opened, so that nothing but the question who is
	// there stands between.
	for d := dir; d != os.TempDir() && d != "/"; d = filepath.Dir(d) {
		if err := os.Chmod(d, 0o755); err != nil {
			t.Fatal(err)
		}
	}
	if err := os.Chmod(path, 0o666); err != nil {
		t.Fatal(err)
	}
	if got, want := errText(askAs(nobody, path)), "only root and the user that ratchetd runs as may ask it"; got != want {
		t.Errorf("got %q, want %q", got, want)
	}
}

// askAs asks as another user. The thread that became that user ends with the
// goroutine, which never unlocks it.
func askAs(uid uintptr, path string) error {
	answer := make(chan error)
	go func() {
		runtime.LockOSThread()
		if _, _, failure := syscall.RawSyscall(syscall.SYS_SETRESUID, uid, uid, uid); failure != 0 {
			answer <- failure
			return
		}
		answer <- Call(context.Background(), path, Request{Do: "status"}, nil)
	}()
	return <-answer
}
