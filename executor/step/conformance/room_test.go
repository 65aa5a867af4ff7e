package conformance_test

import (
	"errors"
	"fmt"
	"net/http"
	"net/http/httptest"
	"os"
	"path/filepath"
	"strings"
	"testing"
	"testing/synctest"
	"time"

	"golang.org/x/sys/unix"

	"github.com/ratchetd/ratchet/executor"
	"github.com/ratchetd/ratchet/executor/step"
	"github.com/ratchetd/ratchet/executor/step/config"
	"github.com/ratchetd/ratchet/executor/step/policy"
	"github.com/ratchetd/ratchet/executor/step/steptest"
	"github.com/ratchetd/ratchet/executor/step/upload"
)

// smallDisk is a disk of so many bytes.
func smallDisk(t *testing.T, size string) string {
	t.Helper()
	if os.Geteuid() != 0 {
		t.Skip("only root can mount")
	}
	dir := t.TempDir()
	if err := unix.Mount("tmpfs", dir, "tmpfs", 0, "size="+size); err != nil {
		t.Skipf("nothing can be mounted here: %v", err)
	}
	t.Cleanup(func() { _ = unix.Unmount(dir, unix.MNT_DETACH) })
	return dir
}

func free(t *testing.T, dir string) uint64 {
	t.Helper()
	var disk unix.Statfs_t
	if err := unix.Statfs(dir, &disk); err != nil {
		t.Fatal(err)
	}
	return disk.Bavail * uint64(disk.Bsize)
}

// A server that never ends, and does not say how much it sends, leaves the device
// its room, and nothing half.
func TestAnEndlessDownloadLeavesRoom(t *testing.T) {
	least := uint64(1 << 62)
	dir := smallDisk(t, "32m")
	server := httptest.NewServer(http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		for part := make([]byte, 64<<10); r.Context().Err() == nil; {
			if _, err := w.Write(part); err != nil {
				return
			}
			least = min(least, free(t, dir))
		}
	}))
	defer server.Close()
	a := steptest.NewAttempt(t, `{"url":%q,"unverified":true,"to":%q}`, server.URL, filepath.Join(dir, "f"))
	steptest.WantError(t, a.Run(t.Context(), step.Download{}), "no room: ", "4194304 shall stay free")
	if least < 4<<20-512<<10 || free(t, dir) < 31<<20 {
		t.Errorf("%d bytes were left while it came and %d are at its end, want 4 MB and nearly all", least, free(t, dir))
	}
	a = steptest.NewAttempt(t, `{"url":%q,"unverified":true,"to":%q}`, server.URL, filepath.Join(dir, "f"))
	steptest.WantError(t, a.Run(t.Context(), step.Download{Policy: policy.Policy{KeepFree: 16 << 20}}), "no room: ", "16777216 shall stay free")
}

// A copy is what a job can make of a file that costs it nothing.
func TestACopyLeavesRoomAndKeepsToTheSize(t *testing.T) {
	dir := smallDisk(t, "32m")
	sparse := filepath.Join(t.TempDir(), "sparse")
	if err := errors.Join(os.WriteFile(sparse, nil, 0o600), os.Truncate(sparse, 1<<40)); err != nil {
		t.Fatal(err)
	}
	for name, c := range map[string]struct {
		kind func(policy.Policy) executor.Kind
		with string
	}{
		"file":   {func(p policy.Policy) executor.Kind { return step.File{Policy: p} }, `{"path":%[1]q,"from":%[2]q}`},
		"config": {func(p policy.Policy) executor.Kind { return config.Kind{Policy: p} }, `{"files":[{"path":%[1]q,"from":%[2]q}]}`},
	} {
		for want, p := range map[string]policy.Policy{"no room: 1099511627776 bytes are to come": {}, "policy.maxSize allows 1000": {MaxSize: 1000}} {
			a := steptest.NewAttempt(t, c.with, filepath.Join(dir, name), sparse)
			steptest.WantError(t, a.Run(t.Context(), c.kind(p)), want)
		}
	}
	for _, paths := range []string{`[%q]`, `[%q,"/etc/hostname"]`} {
		a := steptest.NewAttempt(t, `{"paths":`+paths+`,"url":"http://127.0.0.1:1/"}`, sparse)
		steptest.WantError(t, a.Run(t.Context(), upload.Kind{Policy: policy.Policy{MaxSize: 1000}}), "policy.maxSize allows 1000")
	}
	a := steptest.NewAttempt(t, `{"url":"http://127.0.0.1:1/","sha256":%q,"to":%q}`, steptest.Digest(nil), sparse)
	a.Timeout = executor.Duration(10 * time.Second)
	began := time.Now()
	if err := a.Run(t.Context(), step.Download{Policy: policy.Policy{MaxSize: 1000}}); err == nil || time.Since(began) > time.Minute {
		t.Errorf("got %v after %s: a file that may not come was hashed", err, time.Since(began))
	}
}

// What comes byte by byte would hold the queue for ever.
func TestAServerThatIsTooSlowIsGivenUp(t *testing.T) {
	for name, c := range map[string]struct {
		every time.Duration // one byte
		rate  int
		want  string
	}{
		"a byte a second":             {time.Second, 0, "fewer than 64 bytes a second"},
		"a byte in 40 seconds":        {40 * time.Second, 0, "fewer than 64 bytes a second"},
		"a hundred a second":          {10 * time.Millisecond, 0, ""},
		"as slow as the job wants it": {time.Second, 1, ""},
	} {
		synctest.Test(t, func(t *testing.T) {
			const size = 2000
			lines := make(steptest.Memory)
			web := &http.Server{Handler: http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
				w.Header().Set("Content-Length", fmt.Sprint(size))
				for range size {
					if executor.Sleep(r.Context(), nil, c.every) != nil {
						return
					}
					if _, err := w.Write([]byte("x")); err != nil {
						return
					}
					w.(http.Flusher).Flush()
				}
			})}
			go func() { _ = web.Serve(lines) }()
			defer web.Close()
			rate := ""
			if c.rate > 0 {
				rate = fmt.Sprintf(`,"rate":"%d"`, c.rate)
			}
			sum := steptest.Digest([]byte(strings.Repeat("x", size)))
			a := steptest.NewAttempt(t, `{"url":"http://host/f","sha256":%q,"to":%q%s}`, sum, filepath.Join(t.TempDir(), "f"), rate)
			began := time.Now()
			err := a.Run(t.Context(), step.Download{Client: &http.Client{Transport: &http.Transport{DialContext: lines.Dial}}})
			if c.want == "" && err != nil || c.want != "" && (err == nil || !strings.Contains(err.Error(), c.want)) {
				t.Errorf("%s: got %v, want %q", name, err, c.want)
			}
			_ = web.Close()
			if took := time.Since(began); c.want != "" && took > 11*time.Minute {
				t.Errorf("%s: given up after %s", name, took)
			}
		})
	}
}

// What is kept for the undo may lie on another disk than the file.
func TestUndoDataLeavesRoom(t *testing.T) {
	dir, state := t.TempDir(), smallDisk(t, "16m")
	big := filepath.Join(dir, "big")
	if err := os.WriteFile(big, make([]byte, 13<<20), 0o600); err != nil {
		t.Fatal(err)
	}
	a := steptest.NewAttempt(t, `{"path":%q,"content":"new"}`, big)
	a.Dir = filepath.Join(state, "undo")
	steptest.WantError(t, a.Run(t.Context(), step.File{}), "keeping the old "+big, "no room: ")
	if left := free(t, state); left < 15<<20 {
		t.Errorf("%d bytes are left, want all: nothing half is kept", left)
	}
	if err := a.Undo(step.File{}); err != nil {
		t.Error(err)
	}
	if info, err := os.Stat(big); err != nil || info.Size() != 13<<20 {
		t.Errorf("the file was changed: %v, %v", info, err)
	}
}
