package upload_test

import (
	"encoding/base64"
	"fmt"
	"io"
	"maps"
	"net/http"
	"os"
	"path/filepath"
	"slices"
	"testing"

	"github.com/ratchetd/ratchet/executor/step/steptest"
	"github.com/ratchetd/ratchet/executor/step/upload"
)

// A backup of three files to a server that tears the first try in two: it has
// one whole archive in the end, with the checksum that went before it.
func TestABackupSurvivesATornUpload(t *testing.T) {
	t.Parallel()
	dir := t.TempDir()
	files := map[string][]byte{"config": steptest.Pattern(300 << 10), "journal.db": steptest.Pattern(500 << 10), "notes": []byte("notes\n")}
	for name, content := range files {
		if err := os.WriteFile(filepath.Join(dir, name), content, 0o640); err != nil {
			t.Fatal(err)
		}
	}
	s := newReceiver(t, func(_ http.ResponseWriter, r *http.Request, n int) bool {
		if n > 1 {
			return false
		}
		torn, _ := io.CopyN(io.Discard, r.Body, 100<<10)
		t.Logf("try 1: %s %s, %d bytes announced, cut after %d", r.Method, r.URL.Path, r.ContentLength, torn)
		panic(http.ErrAbortHandler)
	})
	a := steptest.NewAttempt(t, `{"paths":["%s/*"],"url":"%s/backups/"}`, dir, s.URL)
	task := a.Next()
	if err := (upload.Kind{}).Run(t.Context(), task); err != nil {
		t.Fatal(err)
	}
	requests, _, r, body := s.got()
	t.Logf("try %d: %s %s, %d bytes, Digest: %s", requests, r.Method, r.URL.Path, len(body), r.Header.Get("Digest"))
	t.Logf("result: %s", task.Result)
	got := unpackFaithful(t, body)
	for _, name := range slices.Sorted(maps.Keys(got)) {
		t.Logf("in it:  %s, %d bytes, sha256 %s", filepath.Base(name), len(got[name]), steptest.Digest([]byte(got[name]))[:16])
	}
	for name, want := range files {
		if got[filepath.Join(dir, name)[1:]] != string(want) {
			t.Errorf("%s is not in the archive as it is on the disk", name)
		}
	}
	if len(got) != 3 || requests != 2 || string(task.Result) != fmt.Sprintf(`{"bytes":%d,"files":3,"sha256":%q}`, len(body), steptest.Digest(body)) {
		t.Errorf("got %d files in %d requests, %s; want 3 in 2, and the checksum of what came", len(got), requests, task.Result)
	}
	sum, err := base64.StdEncoding.DecodeString(r.Header.Get("Digest")[len("sha-256="):])
	if err != nil || fmt.Sprintf("%x", sum) != steptest.Digest(body) {
		t.Errorf("got the Digest %x, %v, want %s", sum, err, steptest.Digest(body))
	}
}
