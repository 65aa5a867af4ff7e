package upload_test

import (
	"archive/tar"
	"bytes"
	"compress/gzip"
	"context"
	"crypto/sha256"
	"encoding/base64"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"net/http"
	"net/http/httptest"
	"os"
	"path/filepath"
	"strings"
	"sync"
	"testing"
	"testing/synctest"
	"time"

	"github.com/ratchetd/ratchet/executor"
	"github.com/ratchetd/ratchet/executor/step/policy"
	"github.com/ratchetd/ratchet/executor/step/steptest"
	"github.com/ratchetd/ratchet/executor/step/upload"
)

// receiver is a web server that takes uploads, and keeps the last whole one.
type receiver struct {
	*httptest.Server
	mu       sync.Mutex
	requests int
	taken    int // bytes of all bodies
	body     []byte
	last     *http.Request
	fault    func(w http.ResponseWriter, r *http.Request, n int) bool // n counts requests from 1; true when it has answered
}

func newReceiver(t *testing.T, fault func(w http.ResponseWriter, r *http.Request, n int) bool) *receiver {
	s := &receiver{fault: fault}
	s.Server = httptest.NewServer(s)
	t.Cleanup(s.Close)
	return s
}

func (s *receiver) ServeHTTP(w http.ResponseWriter, r *http.Request) {
	s.mu.Lock()
	s.requests++
	n := s.requests
	s.mu.Unlock()
	r.Body = &countingBody{r.Body, s}
	if s.fault != nil && s.fault(w, r, n) {
		return
	}
	body, err := io.ReadAll(r.Body)
	sum := sha256.Sum256(body)
	if err != nil || r.Header.Get("Digest") != "sha-256="+base64.StdEncoding.EncodeToString(sum[:]) {
		http.Error(w, "damaged", http.StatusBadRequest)
		return
	}
	s.mu.Lock()
	defer s.mu.Unlock()
	s.body, s.last = body, r
}

type countingBody struct {
	io.ReadCloser
	s *receiver
}

func (c *countingBody) Read(p []byte) (int, error) {
	n, err := c.ReadCloser.Read(p)
	c.s.mu.Lock()
	c.s.taken += n
	c.s.mu.Unlock()
	return n, err
}

// got is what the server has in the end.
func (s *receiver) got() (requests, taken int, last *http.Request, body []byte) {
	s.mu.Lock()
	defer s.mu.Unlock()
	return s.requests, s.taken, s.last, s.body
}

// tearAfter is a fault: the connection is torn after so many bytes, in every
// one of the first few requests.
func tearAfter(bytes int64, requests int) func(http.ResponseWriter, *http.Request, int) bool {
	return func(_ http.ResponseWriter, r *http.Request, n int) bool {
		if n > requests {
			return false
		}
		_, _ = io.CopyN(io.Discard, r.Body, bytes)
		panic(http.ErrAbortHandler)
	}
}

// uploadStep is an upload step of a file with the given content.
func uploadStep(t *testing.T, url string, content []byte) *steptest.Attempt {
	t.Helper()
	path := filepath.Join(t.TempDir(), "f.bin")
	if err := os.WriteFile(path, content, 0o600); err != nil {
		t.Fatal(err)
	}
	return steptest.NewAttempt(t, `{"paths":[%q],"url":%q}`, path, url)
}

func TestUploadSendsAFileAsItIs(t *testing.T) {
	for _, tt := range []struct {
		name, url, rest string
		size            int
		method, path    string
	}{
		{"put", "/b/k?X-Amz-Signature=1%2F2", ``, 300 << 10, "PUT", "/b/k"},
		{"empty", "/b/k", ``, 0, "PUT", "/b/k"},
		{"post", "/b/k", `,"method":"POST"`, 10, "POST", "/b/k"},
		{"its own name", "/b/", ``, 10, "PUT", "/b/f.bin"},
		{"another name", "/b/?s=1", `,"name":"x.y"`, 10, "PUT", "/b/x.y"},
	} {
		t.Run(tt.name, func(t *testing.T) {
			s := newReceiver(t, nil)
			content := steptest.Pattern(tt.size)
			a := uploadStep(t, s.URL+tt.url, content)
			a.With = []byte(strings.TrimSuffix(string(a.With), "}") + tt.rest + `,"headers":{"x-ms-blob-type":"BlockBlob"}}`)
			task := a.Next()
			if err := (upload.Kind{}).Run(t.Context(), task); err != nil {
				t.Fatal(err)
			}
			_, _, r, body := s.got()
			if !bytes.Equal(body, content) || r.Method != tt.method || r.URL.Path != tt.path || r.ContentLength != int64(tt.size) {
				t.Errorf("got %s %s with %d bytes (announced: %d), want %s %s with the %d bytes of the file",
					r.Method, r.URL.Path, len(body), r.ContentLength, tt.method, tt.path, tt.size)
			}
			if got := r.Header; got.Get("x-ms-blob-type") != "BlockBlob" || got["Content-Type"] != nil {
				t.Errorf("got headers %v, want the job's, and none that a presigned URL may not know", got)
			}
			want := fmt.Sprintf(`{"bytes":%d,"files":1,"sha256":%q}`, tt.size, steptest.Digest(content))
			if got := string(task.Result); got != want {
				t.Errorf("got result %s, want %s", got, want)
			}
		})
	}
}

func TestUploadPacksSeveralIntoOne(t *testing.T) {
	dir := t.TempDir()
	long := strings.Repeat("long", 40)
	files := map[string]string{"a": "1", "sub/b": strings.Repeat("2", 100_000), "ü " + long: "3"}
	for name, content := range files {
		path := filepath.Join(dir, name)
		if err := errors.Join(os.MkdirAll(filepath.Dir(path), 0o755), os.WriteFile(path, []byte(content), 0o640)); err != nil {
			t.Fatal(err)
		}
	}
	if err := os.Symlink("../a", filepath.Join(dir, "sub/c")); err != nil {
		t.Fatal(err)
	}
	s := newReceiver(t, nil)
	a := steptest.NewAttempt(t, `{"paths":["%s/[aü]*","%[1]s/sub/*"],"url":"%s/backups/"}`, dir, s.URL)
	task := a.Next()
	if err := (upload.Kind{}).Run(t.Context(), task); err != nil {
		t.Fatal(err)
	}
	_, _, r, body := s.got()
	if want := "/backups/job-1.tar.gz"; r.URL.Path != want {
		t.Errorf("got path %s, want %s", r.URL.Path, want)
	}
	got := unpackFaithful(t, body)
	files["sub/c"] = "1" // what a link leads to
	for name, content := range files {
		inside := strings.TrimPrefix(filepath.Join(dir, name), "/")
		if got[inside] != content {
			t.Errorf("%s: got %.20q, want %.20q", inside, got[inside], content)
		}
		delete(got, inside)
	}
	if len(got) > 0 {
		t.Errorf("got also %v, want only the files", got)
	}
	if want := fmt.Sprintf(`{"bytes":%d,"files":4,"sha256":%q}`, len(body), steptest.Digest(body)); string(task.Result) != want {
		t.Errorf("got result %s, want %s", task.Result, want)
	}
	if left, _ := os.ReadDir(a.Dir); len(left) > 0 {
		t.Errorf("got %v left in the task's directory, want nothing", left)
	}
}

func unpackFaithful(t *testing.T, archive []byte) map[string]string {
	t.Helper()
	zip, err := gzip.NewReader(bytes.NewReader(archive))
	if err != nil {
		t.Fatal(err)
	}
	files := map[string]string{}
	for r := tar.NewReader(zip); ; {
		h, err := r.Next()
		if err == io.EOF {
			return files
		}
		if err != nil {
			t.Fatal(err)
		}
		text, err := io.ReadAll(r)
		if err != nil || h.Mode != 0o640 || filepath.IsAbs(h.Name) {
			t.Errorf("got %s with mode %o, %v, want a relative name and mode 640", h.Name, h.Mode, err)
		}
		files[h.Name] = string(text)
	}
}

// TestAGlobIsPackedWhateverItMatches: the same job sends the same sort of thing
// on every day.
func TestAGlobIsPackedWhateverItMatches(t *testing.T) {
	s := newReceiver(t, nil)
	a := uploadStep(t, s.URL+"/x", []byte("hello"))
	a.With = bytes.Replace(a.With, []byte("f.bin"), []byte("*.bin"), 1)
	if err := a.Run(t.Context(), upload.Kind{}); err != nil {
		t.Fatal(err)
	}
	_, _, _, body := s.got()
	if zip, err := gzip.NewReader(bytes.NewReader(body)); err != nil {
		t.Errorf("got %v for %q (%v), want a tar.gz", err, body, zip)
	}
}

func TestUploadBeginsAgainWhenItIsCut(t *testing.T) {
	t.Parallel()
	s := newReceiver(t, tearAfter(200<<10, 2))
	content := steptest.Pattern(8 << 20)
	a := uploadStep(t, s.URL, content)
	if err := a.Run(t.Context(), upload.Kind{}); err != nil {
		t.Fatal(err)
	}
	if requests, _, _, body := s.got(); requests != 3 || !bytes.Equal(body, content) {
		t.Errorf("got %d requests and %d bytes, want 3, the last of them whole", requests, len(body))
	}
	if got := a.Fraction; got != 1 {
		t.Errorf("got progress %v, want 1", got)
	}
}

func TestUploadWaitsAsTheServerAsks(t *testing.T) {
	for _, code := range []int{http.StatusServiceUnavailable, http.StatusTooManyRequests} {
		t.Run(fmt.Sprint(code), func(t *testing.T) {
			s := &receiver{fault: func(w http.ResponseWriter, _ *http.Request, n int) bool {
				if n > 2 {
					return false
				}
				w.Header().Set("Retry-After", "400")
				w.WriteHeader(code)
				return true
			}}
			_, took, err := uploadInNoTime(t, s)
			if err != nil || took < 800*time.Second || took > 805*time.Second {
				t.Errorf("got %v after %s, want success after 13m20s", err, took)
			}
			requests, taken, _, _ := s.got()
			if requests != 3 || taken != 1<<20 {
				t.Errorf("got %d bytes in %d requests, want each byte once: a busy server says so before they go", taken, requests)
			}
		})
	}
}

// uploadInNoTime uploads 1 MiB to s in a bubble, and returns the step and how
// long it would have taken.
func uploadInNoTime(t *testing.T, s *receiver) (a *steptest.Attempt, took time.Duration, err error) {
	t.Helper()
	synctest.Test(t, func(t *testing.T) {
		lines := make(steptest.Memory)
		web := &http.Server{Handler: s}
		go func() { _ = web.Serve(lines) }()
		client := &http.Client{Transport: &http.Transport{DialContext: lines.Dial, ExpectContinueTimeout: time.Second}}
		a = uploadStep(t, "http://user:secret@host/p?X-Amz-Signature=secret", steptest.Pattern(1<<20))
		began := time.Now()
		err = a.Run(t.Context(), upload.Kind{Client: client})
		took = time.Since(began)
		web.Close()
		time.Sleep(time.Minute) // the server lingers
	})
	return a, took, err
}

// hang is a fault: the server takes everything and never answers.
func hang(_ http.ResponseWriter, r *http.Request, _ int) bool {
	_, _ = io.Copy(io.Discard, r.Body)
	<-r.Context().Done()
	return true
}

func TestUploadGivesUp(t *testing.T) {
	status := func(code int) func(w http.ResponseWriter, r *http.Request, n int) bool {
		return func(w http.ResponseWriter, r *http.Request, _ int) bool {
			w.Header().Set("Location", "/elsewhere")
			w.WriteHeader(code)
			return true
		}
	}
	for _, tt := range []struct {
		name     string
		fault    func(http.ResponseWriter, *http.Request, int) bool
		want     string
		after    time.Duration // at the latest
		requests int           // at most
	}{
		{"forbidden", status(403), "403 Forbidden: a presigned URL may have expired", 0, 1},
		{"not found", status(404), "404 Not Found", 0, 1},
		{"redirect", status(307), "307 Temporary Redirect: an upload follows no redirect", 0, 1},
		{"a permanent one", status(301), "301 Moved Permanently: an upload follows no redirect", 0, 1},
		{"busy for ever", status(503), "no byte for 5m0s: PUT http://host/p: 503 Service Unavailable", 5 * time.Minute, 30},
		{"busy for hours", func(w http.ResponseWriter, _ *http.Request, _ int) bool {
			w.Header().Set("Retry-After", "3601")
			w.WriteHeader(503)
			return true
		}, "it asks to wait 1h0m1s in all, more than an hour", 0, 1},
		{"hangs", hang,
			"no byte for 5m0s: PUT http://host/p: the connection takes nothing any more", 6 * time.Minute, 2},
		{"torn each time: the link may be paid by the byte", tearAfter(100<<10, 1000),
			"given up after 10 tries: PUT http://host/p: ", 10 * time.Minute, 10},
		{"it does not want all", func(w http.ResponseWriter, r *http.Request, _ int) bool {
			_, _ = io.CopyN(io.Discard, r.Body, 100<<10)
			return true
		}, "given up after 10 tries: PUT http://host/p: 200 OK, but before all of it was sent", 10 * time.Minute, 10},
	} {
		t.Run(tt.name, func(t *testing.T) {
			s := &receiver{fault: tt.fault}
			a, took, err := uploadInNoTime(t, s)
			steptest.WantError(t, err, tt.want)
			if took > tt.after {
				t.Errorf("got an end after %s, want one by %s", took, tt.after)
			}
			if requests, _, _, _ := s.got(); requests > tt.requests {
				t.Errorf("got %d requests, want at most %d", requests, tt.requests)
			}
			if text := err.Error() + a.Out.String(); strings.Contains(text, "secret") {
				t.Errorf("got %q, want no secret of the URL", text)
			}
		})
	}
}

func TestUploadSendsNothingHalf(t *testing.T) {
	t.Parallel()
	var path string
	s := newReceiver(t, func(_ http.ResponseWriter, r *http.Request, n int) bool {
		if n == 1 { // the file changes while it is sent
			_, _ = io.CopyN(io.Discard, r.Body, 1<<20)
			file, err := os.OpenFile(path, os.O_WRONLY, 0)
			if err == nil {
				_, err = file.WriteAt([]byte("changed"), 31<<20)
			}
			if err = errors.Join(err, file.Close()); err != nil {
				t.Error(err)
			}
		}
		return false
	})
	content := steptest.Pattern(32 << 20)
	a := uploadStep(t, s.URL, content)
	var with struct{ Paths []string }
	if err := json.Unmarshal(a.With, &with); err != nil {
		t.Fatal(err)
	}
	path = with.Paths[0]
	if err := a.Run(t.Context(), upload.Kind{}); err != nil {
		t.Fatal(err)
	}
	copy(content[31<<20:], "changed")
	if requests, _, _, body := s.got(); requests != 2 || !bytes.Equal(body, content) {
		t.Errorf("got %d bytes in %d requests, want those of the changed file in 2", len(body), requests)
	}
	if !strings.Contains(a.Out.String(), "the file changes while it is sent") {
		t.Errorf("got output %q, want why it was sent twice", a.Out.String())
	}
}

func TestUploadEndsWithItsStep(t *testing.T) {
	t.Parallel()
	s := newReceiver(t, hang)
	why := errors.New("cancelled by the operator")
	for _, tt := range []struct {
		name string
		end  func(a *steptest.Attempt, cancel context.CancelCauseFunc)
		want string
	}{
		{"cancel", func(_ *steptest.Attempt, cancel context.CancelCauseFunc) { cancel(why) }, why.Error()},
		{"stop", func(a *steptest.Attempt, _ context.CancelCauseFunc) { close(a.Stop) }, "the agent is stopping"},
		{"timeout", func(*steptest.Attempt, context.CancelCauseFunc) {}, "timed out after 1s"},
	} {
		t.Run(tt.name, func(t *testing.T) {
			ctx, cancel := context.WithCancelCause(t.Context())
			defer cancel(nil)
			a := uploadStep(t, s.URL, steptest.Pattern(1<<20))
			a.Timeout = executor.Duration(time.Second)
			time.AfterFunc(200*time.Millisecond, func() { tt.end(a, cancel) })
			steptest.WantError(t, a.Run(ctx, upload.Kind{}), tt.want)
		})
	}
}

func TestUploadRefuses(t *testing.T) {
	for with, want := range map[string]string{
		`{}`:                                    "paths: 0 patterns",
		`{"paths":["a"]}`:                       `paths: [0]: "a"`,
		`{"paths":["/a"]}`:                      "url: want an http",
		`{"paths":["/a"],"url":1}`:              "url: want a string",
		`{"paths":["/a"],"url":"ftp://x/"}`:     "url: want an http",
		`{"paths":["/a"],"url":{"secret":"s"}}`: "url: a secret must not stand here",
		`{"paths":["/a"],"url":"http://x/y","name":"z"}`:                         "name: goes with a url that ends in a slash",
		`{"paths":["/a"],"url":"http://x/","name":"../z"}`:                       "name: \"../z\"",
		`{"paths":["/a"],"url":"http://x/","method":"GET"}`:                      `method: "GET": want PUT or POST`,
		`{"paths":["/a"],"url":"http://x/","headers":{"Content-Length":"1"}}`:    "the agent sets this one itself",
		`{"paths":["/a"],"url":"http://x/","headers":{"A":"b\r\nContent-L: 1"}}`: "no HTTP header",
	} {
		steptest.WantError(t, upload.Kind{}.Check([]byte(with)), want)
	}
	if err := (upload.Kind{}).Check([]byte(`{"paths":["/a"],"url":{"jq":".vars.url"},"name":"x"}`)); err != nil {
		t.Errorf("got %v, want a URL that the device fills in to be taken", err)
	}
}

func TestProtectedFilesAreNotSent(t *testing.T) {
	dir := t.TempDir()
	steptest.WriteFile(t, filepath.Join(dir, "key"), "secret")
	if err := os.Symlink("key", filepath.Join(dir, "a.log")); err != nil {
		t.Fatal(err)
	}
	s := newReceiver(t, nil)
	k := upload.Kind{Policy: policy.Policy{Protected: []string{filepath.Join(dir, "key")}}}
	for _, path := range []string{"key", "a.log", "*"} {
		a := steptest.NewAttempt(t, `{"paths":[%q],"url":%q}`, filepath.Join(dir, path), s.URL)
		steptest.WantError(t, a.Run(t.Context(), k), "is protected: it cannot be read by a job")
	}
	if requests, _, _, _ := s.got(); requests != 0 {
		t.Errorf("got %d requests, want none", requests)
	}
}

func TestUploadKeepsToThePolicy(t *testing.T) {
	s := newReceiver(t, nil)
	k := upload.Kind{Policy: policy.Policy{URLs: []string{"*.example.com"}}}
	a := uploadStep(t, s.URL, []byte("12345"))
	steptest.WantError(t, k.Check(a.With), "policy.urls does not allow this host")
	steptest.WantError(t, a.Run(t.Context(), k), "policy.urls does not allow this host")
	k.Policy = policy.Policy{MaxSize: 4}
	steptest.WantError(t, a.Run(t.Context(), k), "5 bytes: policy.maxSize allows 4")
	a.With = bytes.Replace(a.With, []byte("f.bin"), []byte("*"), 1)
	steptest.WantError(t, a.Run(t.Context(), k), "policy.maxSize allows 4")
	if requests, _, _, _ := s.got(); requests != 0 {
		t.Errorf("got %d requests, want none", requests)
	}
}
