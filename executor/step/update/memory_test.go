package update_test

import (
	"crypto/rand"
	"net/http"
	"net/http/httptest"
	"os"
	"path/filepath"
	"runtime/debug"
	"runtime/metrics"
	"testing"
	"time"

	"aead.dev/minisign"

	"github.com/ratchetd/ratchet/executor/step/steptest"
	"github.com/ratchetd/ratchet/executor/step/update"
)

// memoryTaken is what the Go runtime has of the system now, in bytes.
func memoryTaken() uint64 {
	s := []metrics.Sample{{Name: "/memory/classes/total:bytes"}, {Name: "/memory/classes/heap/released:bytes"}}
	metrics.Read(s)
	return s[0].Value.Uint64() - s[1].Value.Uint64()
}

// TestABinaryIsFetchedAndVouchedForInLittleMemory lets an update of 10 MiB go
// as far as to the look at its processor, on a board with little memory.
func TestABinaryIsFetchedAndVouchedForInLittleMemory(t *testing.T) {
	public, private, err := minisign.GenerateKey(rand.Reader)
	if err != nil {
		t.Fatal(err)
	}
	content := steptest.Pattern(10 << 20)
	signature, sum := string(minisign.Sign(private, content)), steptest.Digest(content)
	file := filepath.Join(t.TempDir(), "release")
	if err := os.WriteFile(file, content, 0o600); err != nil {
		t.Fatal(err)
	}
	srv := httptest.NewServer(http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) { http.ServeFile(w, r, file) }))
	defer srv.Close()
	path := filepath.Join(t.TempDir(), "ratchetd")
	if err := os.WriteFile(path, []byte("old"), 0o700); err != nil {
		t.Fatal(err)
	}
	kind := update.Kind{Path: path, Running: path, Keys: []string{public.String()}, Memory: func() (uint64, error) { return 0, nil }}
	content = nil
	debug.FreeOSMemory()
	before, most := memoryTaken(), uint64(0)
	ended := make(chan error)
	go func() {
		ended <- steptest.NewAttempt(t, `{"url":%q,"sha256":%q,"signature":%q,"version":"2","force":true}`, srv.URL, sum, signature).Run(t.Context(), kind)
	}()
	for err == nil {
		select {
		case err = <-ended:
		case <-time.After(time.Millisecond):
		}
		most = max(most, memoryTaken())
	}
	steptest.WantError(t, err, "not an ELF file")
	t.Logf("an update of 10 MiB took %d KiB more, with %d before", (most-before)>>10, before>>10)
	if grown := most - before; most > before && grown > 4<<20 {
		t.Errorf("got %d KiB more than before, want less than 4 MiB", grown>>10)
	}
}
