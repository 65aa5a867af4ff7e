package conformance_test

import (
	"io"
	"net/http"
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
	"github.com/ratchetd/ratchet/executor/step/data"
	"github.com/ratchetd/ratchet/executor/step/policy"
	"github.com/ratchetd/ratchet/executor/step/steptest"
	"github.com/ratchetd/ratchet/executor/step/upload"
)

// A server that sends as slowly as it may, and never ends, is given up after a day,
// and not when the disk is full.
func TestADownloadWithoutAnEndIsGivenUp(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		lines := make(steptest.Memory)
		web := &http.Server{Handler: http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
			for executor.Sleep(r.Context(), nil, 30*time.Second) == nil {
				if _, err := w.Write(make([]byte, 16<<10)); err != nil {
					return
				}
				w.(http.Flusher).Flush()
			}
		})}
		go func() { _ = web.Serve(lines) }()
		defer web.Close()
		a := steptest.NewAttempt(t, `{"url":"http://host/f","unverified":true,"to":%q}`, filepath.Join(t.TempDir(), "f"))
		began := time.Now()
		k := step.Download{Client: &http.Client{Transport: &http.Transport{DialContext: lines.Dial}}}
		steptest.WantError(t, a.Run(t.Context(), k), "timed out after 24h0m0s")
		if took := time.Since(began); took > 25*time.Hour {
			t.Errorf("given up after %s", took)
		}
		_ = web.Close()
	})
}

// A file that is copied may grow meanwhile, as fast as it is read.
func TestACopyOfWhatGrowsLeavesRoom(t *testing.T) {
	dir := smallDisk(t, "32m")
	for name, c := range map[string]struct {
		p    policy.Policy
		want string
	}{
		"room":    {policy.Policy{}, "no room: "},
		"maxSize": {policy.Policy{MaxSize: 1 << 20}, "policy.maxSize allows 1048576"},
	} {
		t.Run(name, func(t *testing.T) {
			file, err := os.Create(filepath.Join(dir, name))
			if err != nil {
				t.Fatal(err)
			}
			defer file.Close()
			_, err = io.Copy(file, &policy.Reader{R: endless{}, Dir: dir, Policy: c.p})
			steptest.WantError(t, err, c.want)
			if got := free(t, dir); got < 4<<20 {
				t.Errorf("%d bytes are left, want 4 MB", got)
			}
			if err := os.Remove(file.Name()); err != nil {
				t.Fatal(err)
			}
		})
	}
}

type endless struct{}

func (endless) Read(p []byte) (int, error) { return len(p), nil }

// What is no regular file is neither waited for nor opened, whoever names it.
func TestPipesAndDevicesAreRefused(t *testing.T) {
	pipe := filepath.Join(t.TempDir(), "pipe")
	if err := unix.Mkfifo(pipe, 0o600); err != nil {
		t.Fatal(err)
	}
	for _, path := range []string{pipe, "/dev/zero", "/dev/tty"} {
		for name, c := range map[string]struct {
			kind executor.Kind
			with string
		}{
			"file":       {step.File{}, `{"path":"OUT","from":"IN"}`},
			"config":     {config.Kind{}, `{"files":[{"path":"OUT","from":"IN"}]}`},
			"upload":     {upload.Kind{}, `{"paths":["IN"],"url":"http://127.0.0.1:1/"}`},
			"data":       {data.Kind{}, `{"inputs":["IN"],"format":"text","jq":"inputs","output":"OUT"}`},
			"download":   {step.Download{}, `{"url":"http://127.0.0.1:1/","sha256":"SUM","to":"IN"}`},
			"file, over": {step.File{}, `{"path":"IN","content":"x"}`},
		} {
			with := strings.NewReplacer("IN", path, "OUT", filepath.Join(t.TempDir(), "out"), "SUM", steptest.Digest(nil)).Replace(c.with)
			began := time.Now()
			steptest.WantError(t, steptest.NewAttempt(t, "%s", with).Run(t.Context(), c.kind), "no regular file")
			if took := time.Since(began); took > 30*time.Second {
				t.Errorf("%s of %s: refused after %s", name, path, took)
			}
		}
	}
}
