package packages

import (
	"encoding/json"
	"fmt"
	"os"
	"os/exec"
	"path/filepath"
	"strings"
	"testing"
	"time"

	mochi "github.com/mochi-mqtt/server/v2"
	"github.com/mochi-mqtt/server/v2/packets"

	"github.com/ratchetd/ratchet/agent/dialect"
	"github.com/ratchetd/ratchet/executor"
)

// TestE2EThePackagedBinaryRunsASession takes the binary out of a package for
// another processor, cuts its power in the middle of a job, and sees it go on.
func TestE2EThePackagedBinaryRunsASession(t *testing.T) {
	for _, c := range []struct{ program, arch, qemu string }{
		{"mips", "mips_24kc", "qemu-mips-static"},
		{"mipsle", "mipsel_24kc", "qemu-mipsel-static"},
		{"armv7", "arm_cortex-a7_neon-vfpv4", "qemu-arm-static"},
	} {
		t.Run(c.arch, func(t *testing.T) {
			needs(t, false, c.qemu)
			dir := t.TempDir()
			makePackages(t, dir, "1.0.0", []string{"ratchetd-linux-" + c.program}, "ipk/"+c.arch)
			run(t, dir, "sh", "-c", "tar -xzf *.ipk && tar -xzf data.tar.gz")
			session(t, dir, c.qemu)
		})
	}
}

func session(t *testing.T, dir, qemu string) {
	server, address := newBroker(t)
	states := make(chan dialect.JobStatus, 100)
	err := server.Subscribe("ratchet/v1/device/r/jobs/+", 1, func(_ *mochi.Client, _ packets.Subscription, p packets.Packet) {
		var s dialect.JobStatus
		if json.Unmarshal(p.Payload, &s) == nil {
			states <- s
		}
	})
	if err != nil {
		t.Fatal(err)
	}
	etc := filepath.Join(dir, "etc/ratchet")
	config := fmt.Sprintf("device = \"r\"\nstate = %q\n[link]\nbroker = \"tcp://%s\"\nspread = \"0s\"\n", filepath.Join(dir, "state"), address)
	if err := os.MkdirAll(etc, 0o700); err != nil {
		t.Fatal(err)
	}
	if err := os.WriteFile(filepath.Join(etc, "ratchet.toml"), []byte(config), 0o600); err != nil {
		t.Fatal(err)
	}
	job := fmt.Sprintf(`{"id":"j","steps":[{"name":"a","command":{"shell":"echo a >>%[1]s/did"}},
		{"name":"b","command":{"shell":"echo b >>%[1]s/did; test -e %[1]s/cut || sleep 60"}},
		{"name":"c","file":{"path":"%[1]s/c","content":"c"}}]}`, dir)
	if err := server.Publish("ratchet/v1/jobs/device/r/j", []byte(job), true, 1); err != nil {
		t.Fatal(err)
	}
	d := daemon(t, dir, qemu)
	reached(t, states, func(s dialect.JobStatus) bool { return len(s.Steps) == 3 && s.Steps[1].State == executor.Running })
	did := filepath.Join(dir, "did")
	for begun := ""; !strings.Contains(begun, "b"); time.Sleep(10 * time.Millisecond) {
		text, _ := os.ReadFile(did)
		begun = string(text)
	}
	if err := d.Process.Kill(); err != nil {
		t.Fatal(err)
	}
	_ = d.Wait() // killed
	if err := os.WriteFile(filepath.Join(dir, "cut"), nil, 0o600); err != nil {
		t.Fatal(err)
	}
	daemon(t, dir, qemu)
	s := reached(t, states, func(s dialect.JobStatus) bool { return s.State.Final() })
	lines, _ := os.ReadFile(did)
	if s.State != executor.Succeeded || s.Steps[1].Interrupted != 1 || strings.Join(strings.Fields(string(lines)), " ") != "a b b" {
		t.Errorf("got %s (%s), step b interrupted %d times, did %q; want succeeded, 1, a b b", s.State, s.Reason, s.Steps[1].Interrupted, lines)
	}
}

// daemon runs the packaged agent until the test ends.
func daemon(t *testing.T, dir, qemu string) *exec.Cmd {
	t.Helper()
	cmd := exec.Command(qemu, filepath.Join(dir, "usr/sbin/ratchetd"), "run", "--config", filepath.Join(dir, "etc/ratchet/ratchet.toml"))
	log, err := os.OpenFile(filepath.Join(dir, "log"), os.O_CREATE|os.O_APPEND|os.O_WRONLY, 0o600)
	if err != nil {
		t.Fatal(err)
	}
	defer log.Close()
	cmd.Stdout, cmd.Stderr = log, log
	if err := cmd.Start(); err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() {
		_ = cmd.Process.Kill()
		_ = cmd.Wait() // it may have been waited for
		if t.Failed() {
			text, _ := os.ReadFile(log.Name())
			t.Logf("%s", text)
		}
	})
	return cmd
}

// reached waits for a status.
func reached(t *testing.T, states <-chan dialect.JobStatus, ok func(dialect.JobStatus) bool) dialect.JobStatus {
	t.Helper()
	for end := time.After(90 * time.Second); ; {
		select {
		case s := <-states:
			if ok(s) {
				return s
			}
		case <-end:
			t.Fatal("that was never told")
		}
	}
}
