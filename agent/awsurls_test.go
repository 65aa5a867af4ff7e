package agent

import (
	"fmt"
	"io/fs"
	"net/http"
	"net/http/httptest"
	"os"
	"path/filepath"
	"strings"
	"sync/atomic"
	"testing"
	"time"

	"github.com/ratchetd/ratchet/agent/local"
	"github.com/ratchetd/ratchet/scripts/fakeaws/jobs"
)

// A URL that the journal holds has expired when the device is back: the
// document is asked for again.
func TestPresignedURLsAreFetchedAgainAfterACut(t *testing.T) {
	var service movable
	s, d := newAWS(t, "", func(s *jobs.Service) { s.Now = service.now })
	dir := files(t, s)
	s.Life = 10 * time.Minute
	if err := os.WriteFile(filepath.Join(dir, "image"), []byte("content"), 0o600); err != nil {
		t.Fatal(err)
	}
	d.start()
	file := filepath.Join(t.TempDir(), "out")
	create(t, s, "job", fmt.Sprintf(`{"version":"1.0","steps":[
		{"action":{"name":"long","type":"runCommand","input":{"command":"sh,-c,echo begun >>%[1]s; while ! test -e %[1]s.go; do sleep 0.05; done"}}},
		{"action":{"name":"get","type":"runHandler","input":{"handler":"download-file.sh","args":["${aws:iot:s3-presigned-url:https://s3.region.amazonaws.com/bucket/image}","%[1]s.image"]}}}]}`, file))
	await(t, "the step has begun", func() bool { return read(t, file) == "begun" })
	stopped := make(chan bool)
	go func() { d.stop(); close(stopped) }()
	await(t, "the agent to be stopping", func() bool { // which leaves the step a while for its end
		_, err := os.Stat(local.Path(d.config.Load().State))
		return err != nil
	})
	if err := os.WriteFile(file+".go", nil, 0o600); err != nil {
		t.Fatal(err)
	}
	<-stopped
	service.move(2 * s.Life) // and less than a step may take
	d.start()
	if e := ends(t, s, "job"); e.Status != "SUCCEEDED" {
		t.Errorf("got %s (%s), want SUCCEEDED", e.Status, e.Details["reason"])
	}
	if got := read(t, file+".image"); got != "content" {
		t.Errorf("got %q, want the file", got)
	}
}

// A download that is cut begins again with a new URL, at the byte where it was.
func TestADownloadThatWasCutGoesOnWithANewURL(t *testing.T) {
	var service movable
	s, d := newAWS(t, "", func(s *jobs.Service) { s.Now = service.now })
	s.Life = 10 * time.Minute
	var asked atomic.Value
	stop := make(chan struct{})
	content := strings.Repeat("x", 200_000)
	web := httptest.NewServer(http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		asked.Store(r.Header.Get("Range") + " " + r.FormValue("X-Amz-Signature"))
		w.Header().Set("ETag", `"1"`)
		if r.Header.Get("Range") != "" {
			http.ServeContent(w, r, "image", time.Time{}, strings.NewReader(content))
			return
		}
		w.Header().Set("Content-Length", fmt.Sprint(len(content)))
		fmt.Fprint(w, content[:100_000])
		w.(http.Flusher).Flush()
		select {
		case <-stop:
		case <-r.Context().Done():
		}
	}))
	t.Cleanup(web.Close)
	t.Cleanup(func() { close(stop) })
	s.Files = web.URL
	d.start()
	file := filepath.Join(t.TempDir(), "image")
	create(t, s, "job", `{"version":"1.0","steps":[{"action":{"name":"get","type":"runHandler","input":{"handler":"download-file.sh","args":["${aws:iot:s3-presigned-url:https://s3.region.amazonaws.com/bucket/image}","`+file+`"]}}}]}`)
	await(t, "the download to begin", func() bool { return asked.Load() != nil })
	await(t, "half of it to be on disk", func() bool { return holds(t, filepath.Dir(file), 65536) })
	before := strings.Fields(asked.Load().(string))
	d.stop()
	service.move(2 * s.Life) // and less than a step may take
	d.start()
	if e := ends(t, s, "job"); e.Status != "SUCCEEDED" {
		t.Fatalf("got %s (%s), want SUCCEEDED", e.Status, e.Details["reason"])
	}
	if after := strings.Fields(asked.Load().(string)); len(after) != 2 || after[0] != "bytes=65536-" && after[0] != "bytes=100000-" || after[1] == before[0] {
		t.Errorf("got %q asked first, then %q, want the rest from a new URL", before, after)
	}
	if text, err := os.ReadFile(file); err != nil || string(text) != content {
		t.Errorf("got %d bytes (%v), want all %d", len(text), err, len(content))
	}
}

// holds reports whether a file below dir has so many bytes, which is as much as a
// download keeps at a time.
func holds(t *testing.T, dir string, bytes int64) bool {
	t.Helper()
	found := false
	err := filepath.WalkDir(dir, func(path string, e fs.DirEntry, err error) error {
		if err != nil || !e.Type().IsRegular() {
			return nil // it went meanwhile
		}
		info, err := e.Info()
		found = found || err == nil && info.Size() >= bytes
		return nil
	})
	if err != nil {
		t.Fatal(err)
	}
	return found
}
