package main

import (
	"errors"
	"fmt"
	"os"
	"os/exec"
	"path/filepath"
	"strings"
	"syscall"
	"testing"
	"time"

	"github.com/ratchetd/ratchet/executor"
)

const ownMountsVar = "RATCHET_OWN_MOUNTS"

// inOwnMounts runs this very test in a mount namespace, with a /run, a /tmp and
// an /etc that nobody else sees, where it is true.
func inOwnMounts(t *testing.T, needs ...string) bool {
	t.Helper()
	if os.Getenv(ownMountsVar) != "" {
		return true
	}
	if !thorough() {
		t.Skip("RATCHET_E2E=1 runs it, or make e2e")
	}
	for _, program := range append(needs, "unshare", "losetup", "openssl") {
		if _, err := exec.LookPath(program); err != nil || os.Geteuid() != 0 {
			t.Skipf("it needs root and %s: make deps", program)
		}
	}
	dir, err := os.MkdirTemp("/var/tmp", "ratchet")
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { _ = os.RemoveAll(dir) })
	self := filepath.Join(dir, "self")
	binary, err := os.ReadFile("/proc/self/exe")
	if err := errors.Join(err, os.WriteFile(self, binary, 0o755)); err != nil {
		t.Fatal(err)
	}
	const mounts = `mount --make-rprivate /
mount -t tmpfs tmpfs /run
mount -t tmpfs tmpfs /tmp
mkdir -p /run/dbus /run/rauc /run/etc/upper /run/etc/work
mount -t overlay overlay -o lowerdir=/etc,upperdir=/run/etc/upper,workdir=/run/etc/work /etc
echo quiet > /run/cmdline
mount --bind /run/cmdline /proc/cmdline
exec "$0" "$@"`
	cmd := exec.Command("unshare", "-m", "sh", "-ec", mounts, self, "-test.run=^"+t.Name()+"$", "-test.v", "-test.count=1")
	cmd.Env = append(os.Environ(), ownMountsVar+"=1", "TMPDIR="+dir)
	out, err := cmd.CombinedOutput()
	for line := range strings.Lines(string(out)) {
		if !strings.HasPrefix(line, "===") {
			t.Log(strings.TrimRight(line, "\n"))
		}
	}
	if err != nil {
		t.Error(err)
	}
	return false
}

// shell runs what a test needs of the system; it must end well.
func shell(t *testing.T, dir, script string, args ...string) string {
	t.Helper()
	cmd := exec.Command("sh", append([]string{"-ec", script, "sh"}, args...)...)
	cmd.Dir = dir
	out, err := cmd.CombinedOutput()
	if err != nil {
		t.Fatalf("%s: %v: %s", script, err, out)
	}
	return strings.TrimSpace(string(out))
}

// loop makes a loop device that holds content.
func loop(t *testing.T, path string, content []byte) string {
	t.Helper()
	if err := os.WriteFile(path, content, 0o644); err != nil {
		t.Fatal(err)
	}
	device := shell(t, "/", "losetup -f --show "+path)
	t.Cleanup(func() { shell(t, "/", "losetup -d "+device) })
	return device
}

// background starts a service of the board's and waits until it works.
func background(t *testing.T, log, works string, argv ...string) (stop func()) {
	t.Helper()
	cmd := exec.Command(argv[0], argv[1:]...)
	file, err := os.OpenFile(log, os.O_CREATE|os.O_APPEND|os.O_WRONLY, 0o644)
	if err != nil {
		t.Fatal(err)
	}
	defer file.Close()
	cmd.Stdout, cmd.Stderr = file, file
	if err := cmd.Start(); err != nil {
		t.Fatal(err)
	}
	stop = func() {
		_ = cmd.Process.Signal(syscall.SIGTERM) // it may have ended
		_ = cmd.Wait()
	}
	if err := patiently(func() error { return exec.Command("sh", "-c", works).Run() }); err != nil {
		stop()
		text, _ := os.ReadFile(log)
		t.Fatalf("%s does not work: %s", argv[0], text)
	}
	return stop
}

// try gives the device the image and tells in words how it ended.
func (f *flashed) try(image []byte, board string) string {
	f.t.Helper()
	server := serveFile(image, 1<<30)
	f.closers = append(f.closers, func() error { server.Close(); return nil })
	doc := fmt.Sprintf(`{"id": %q, "steps": [
		{"name": "flash", "confirm": {"within": "6s", "check": {"command": ["grep", "-q", "good", %q]}},
			"firmware": {"url": "%s/image", "sha256": %q, "version": "2.0", "board": %q}},
		{"name": "after", "command": {"argv": ["true"]}}]}`,
		f.job, filepath.Join(f.dir, "is"), server.URL, executor.Digest(image), board)
	if err := f.watcher.send("jobs/device/gw-1/"+f.job, []byte(doc)); err != nil {
		f.t.Fatal(err)
	}
	f.live(func() <-chan time.Time { return nil })
	s := f.final(f.job)
	reason, _, _ := strings.Cut(strings.TrimPrefix(s.Reason, "step flash: "), "; undone")
	return strings.TrimSuffix(fmt.Sprintf("%s: %s", s.State, reason), ": ")
}
