package steptest

import (
	"context"
	"crypto/sha256"
	"encoding/hex"
	"encoding/json"
	"net/http"
	"net/http/httptest"
	"os"
	"path/filepath"
	"runtime"
	"strings"
	"testing"
	"time"

	"github.com/ratchetd/ratchet/executor"
)

// Old is a setup with one file, which holds "old\n".
func Old(name string) func(string) error {
	return func(dir string) error { return os.WriteFile(filepath.Join(dir, name), []byte("old\n"), 0o600) }
}

// Pattern is n bytes that do not repeat within a chunk.
func Pattern(n int) []byte {
	b := make([]byte, n)
	x := uint32(1)
	for i := range b {
		x = x*1664525 + 1013904223
		b[i] = byte(x >> 24)
	}
	return b
}

// Digest is the sha256 of b in hex.
func Digest(b []byte) string {
	sum := sha256.Sum256(b)
	return hex.EncodeToString(sum[:])
}

// Serve serves content as a good server does, and returns its URL and sha256.
func Serve(t *testing.T, content []byte) (url, sum string) {
	t.Helper()
	sum = Digest(content)
	srv := httptest.NewServer(http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		w.Header().Set("ETag", `"`+sum[:8]+`"`)
		http.ServeContent(w, r, "", time.Time{}, strings.NewReader(string(content)))
	}))
	t.Cleanup(srv.Close)
	return srv.URL, sum
}

// WantFile asserts what a file holds.
func WantFile(t *testing.T, path string, want []byte) {
	t.Helper()
	got, err := os.ReadFile(path)
	if err != nil || Digest(got) != Digest(want) {
		t.Errorf("%s: got %d bytes, %v, want %d", path, len(got), err, len(want))
	}
	left, err := filepath.Glob(filepath.Join(filepath.Dir(path), ".*ratchet*"))
	if err != nil || len(left) > 0 {
		t.Errorf("got %v left beside the file, want nothing", left)
	}
}

// WriteFile writes a file.
func WriteFile(t *testing.T, path, content string) {
	t.Helper()
	if err := os.WriteFile(path, []byte(content), 0o644); err != nil {
		t.Fatal(err)
	}
}

// ReadFile is what a file holds.
func ReadFile(t *testing.T, path string) string {
	t.Helper()
	text, err := os.ReadFile(path)
	if err != nil {
		t.Fatal(err)
	}
	return string(text)
}

// Late is a kind that learns from its parameters where its device is.
type Late struct{ Kind func() executor.Kind }

// Check implements executor.Kind.
func (l Late) Check(with json.RawMessage) error { return l.Kind().Check(with) }

// Run implements executor.Kind.
func (l Late) Run(ctx context.Context, t *executor.Task) error { return l.Kind().Run(ctx, t) }

// Undo implements executor.Undoer.
func (l Late) Undo(ctx context.Context, t *executor.Task) error {
	return l.Kind().(executor.Undoer).Undo(ctx, t)
}

// Olds is Old with several files.
func Olds(names ...string) func(string) error {
	return func(dir string) error {
		for _, name := range names {
			if err := Old(name)(dir); err != nil {
				return err
			}
		}
		return nil
	}
}

// StandIn is the path of a program below testdata.
func StandIn(t *testing.T, name string) string {
	t.Helper()
	return filepath.Join(material(), name)
}

// material is the folder testdata beside this file.
func material() string {
	_, file, _, _ := runtime.Caller(0)
	return filepath.Join(filepath.Dir(file), "testdata")
}
