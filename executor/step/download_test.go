package step_test

import (
	"context"
	"crypto/tls"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"log"
	"net/http"
	"net/http/httptest"
	"os"
	"path/filepath"
	"slices"
	"strings"
	"syscall"
	"testing"
	"time"

	"github.com/ratchetd/ratchet/executor"
	"github.com/ratchetd/ratchet/executor/step"
	"github.com/ratchetd/ratchet/executor/step/safefile"
	"github.com/ratchetd/ratchet/executor/step/steptest"
)

// fetching is a download of what the server has, into a directory of its own.
func fetching(t *testing.T, s *steptest.Server, more string) (a *steptest.Attempt, to string) {
	to = filepath.Join(t.TempDir(), "file")
	return steptest.NewAttempt(t, `{"url":%q,"sha256":%q,"to":%q%s}`, s.URL+"/a/file?token=secret", steptest.Digest(s.Content), to, more), to
}

var errKilled = errors.New("killed")

// killAt runs a download and ends it in its tracks once so many bytes are in
// the part, as SIGKILL does: nothing is synced or saved any more.
func killAt(t *testing.T, a *steptest.Attempt, bytes int64) {
	t.Helper()
	var got int64
	err := a.Run(t.Context(), step.Download{Files: safefile.Files{Before: func(op string, _ ...string) error {
		if op == "write" {
			got += 64 << 10
		}
		if got > bytes {
			return errKilled
		}
		return nil
	}}})
	if !errors.Is(err, errKilled) {
		t.Fatalf("got %v, want it killed at %d", err, bytes)
	}
}

func TestADownloadOf50MBCutThriceSendsLittleTwice(t *testing.T) {
	s := steptest.NewServer(t, steptest.Pattern(50_000_000))
	a, to := fetching(t, s, "")
	for _, at := range []int64{11 << 20, 10 << 20, 15 << 20} {
		killAt(t, a, at)
	}
	if err := a.Run(t.Context(), step.Download{}); err != nil {
		t.Fatal(err)
	}
	steptest.WantFile(t, to, s.Content)
	want := []string{"", "bytes=11534336-", "bytes=22020096-", "bytes=37748736-"}
	if got := s.Requests(); !slices.Equal(got, want) {
		t.Errorf("got ranges %q, want %q", got, want)
	}
	t.Logf("%d bytes sent, %d saves", s.BytesSent(), a.Saves)
	// On loopback the server's own socket buffers hold some 4 MB at each cut.
	if got := s.BytesSent(); got > 66_000_000 {
		t.Errorf("got %d bytes sent, want close to 50 MB", got)
	}
	if a.Saves > 18 {
		t.Errorf("got %d saves for 50 MB, want at most 18", a.Saves)
	}
}

// TestAPowerCutTakesNoMoreThanACheckpoint: in a new boot only what was synced
// is trusted, even though more lies there.
func TestAPowerCutTakesNoMoreThanACheckpoint(t *testing.T) {
	s := steptest.NewServer(t, steptest.Pattern(20<<20))
	a, to := fetching(t, s, "")
	killAt(t, a, 11<<20)
	part := filepath.Join(filepath.Dir(to), ".file.ratchet-part")
	f, err := os.OpenFile(part, os.O_WRONLY, 0)
	if err != nil {
		t.Fatal(err)
	}
	if _, err := f.WriteAt(make([]byte, 3<<20), 8<<20); err != nil {
		t.Fatal(err)
	}
	_ = f.Close()
	a.Boot = "boot-2"
	if err := a.Run(t.Context(), step.Download{}); err != nil {
		t.Fatal(err)
	}
	steptest.WantFile(t, to, s.Content)
	if got, want := s.Requests(), []string{"", "bytes=8388608-"}; !slices.Equal(got, want) {
		t.Errorf("got ranges %q, want %q", got, want)
	}
}

// Who owns a file can change it after it was verified.
func TestAPartOfSomebodyElseIsNotGoneOnWith(t *testing.T) {
	if os.Geteuid() != 0 {
		t.Skip("only root can give a file to somebody else")
	}
	s := steptest.NewServer(t, steptest.Pattern(2<<20))
	a, to := fetching(t, s, "")
	killAt(t, a, 1<<20)
	if err := os.Chown(filepath.Join(filepath.Dir(to), ".file.ratchet-part"), 65534, 65534); err != nil {
		t.Fatal(err)
	}
	if err := a.Run(t.Context(), step.Download{}); err != nil {
		t.Fatal(err)
	}
	steptest.WantFile(t, to, s.Content)
	if info, err := os.Stat(to); err != nil || info.Sys().(*syscall.Stat_t).Uid != 0 {
		t.Errorf("got a file of user %d (%v), want one of the agent's", info.Sys().(*syscall.Stat_t).Uid, err)
	}
	if got := s.Requests(); !slices.Equal(got, []string{"", ""}) {
		t.Errorf("got ranges %q, want it fetched again", got)
	}
}

func TestAStopKeepsEveryByte(t *testing.T) {
	s := steptest.NewServer(t, steptest.Pattern(3<<20))
	s.Fault = func(w http.ResponseWriter, r *http.Request, n int) bool {
		if n > 1 {
			return false
		}
		w.Header().Set("ETag", s.ETag)
		w.Header().Set("Content-Length", fmt.Sprint(len(s.Content)))
		_, _ = w.Write(s.Content[:2<<20])
		w.(*steptest.Counting).ResponseWriter.(http.Flusher).Flush()
		<-r.Context().Done()
		return true
	}
	a, to := fetching(t, s, "")
	part := filepath.Join(filepath.Dir(to), ".file.ratchet-part")
	go func() {
		for {
			if info, err := os.Stat(part); err == nil && info.Size() == 2<<20 {
				close(a.Stop)
				return
			}
			time.Sleep(time.Millisecond)
		}
	}()
	steptest.WantError(t, a.Run(t.Context(), step.Download{}), "the agent is stopping")
	a.Boot, a.Stopping = "boot-2", nil
	if err := a.Run(t.Context(), step.Download{}); err != nil {
		t.Fatal(err)
	}
	steptest.WantFile(t, to, s.Content)
	if got, want := s.Requests(), []string{"", "bytes=2097152-"}; !slices.Equal(got, want) {
		t.Errorf("got ranges %q, want %q", got, want)
	}
}

func TestWhatIsThereIsNotFetched(t *testing.T) {
	s := steptest.NewServer(t, steptest.Pattern(1000))
	a, to := fetching(t, s, `,"mode":"0755"`)
	if err := os.WriteFile(to, s.Content, 0o600); err != nil {
		t.Fatal(err)
	}
	if err := a.Run(t.Context(), step.Download{}); err != nil {
		t.Fatal(err)
	}
	if info, err := os.Stat(to); err != nil || info.Mode() != 0o755 {
		t.Errorf("got %v, %v, want mode 0755", info.Mode(), err)
	}
	if got := s.Requests(); len(got) > 0 {
		t.Errorf("got requests %q, want none", got)
	}
}

func TestUndoBringsBackWhatTheDownloadReplaced(t *testing.T) {
	s := steptest.NewServer(t, steptest.Pattern(1000))
	a, to := fetching(t, s, "")
	if err := os.WriteFile(to, []byte("before"), 0o640); err != nil {
		t.Fatal(err)
	}
	if err := a.Run(t.Context(), step.Download{}); err != nil {
		t.Fatal(err)
	}
	steptest.WantFile(t, to, s.Content)
	for range 2 {
		if err := a.Undo(step.Download{}); err != nil {
			t.Fatal(err)
		}
		steptest.WantFile(t, to, []byte("before"))
	}
	if info, err := os.Stat(to); err != nil || info.Mode() != 0o640 {
		t.Errorf("got %v, %v, want mode 0640", info.Mode(), err)
	}
}

func TestDownloadFailsClearly(t *testing.T) {
	s := steptest.NewServer(t, steptest.Pattern(100_000))
	for _, tt := range []struct {
		name  string
		fault func(w http.ResponseWriter, r *http.Request, n int) bool
		want  string
	}{
		{"not there", status(404, nil), "/a/file: 404 Not Found"},
		{"not allowed", status(403, nil), "/a/file: 403 Forbidden"},
		{"other content", func(w http.ResponseWriter, _ *http.Request, _ int) bool {
			_, _ = w.Write([]byte("other"))
			return true
		}, "sha256 is " + steptest.Digest([]byte("other")) + ", want " + steptest.Digest(s.Content)},
		{"more than fits", func(w http.ResponseWriter, _ *http.Request, _ int) bool {
			w.Header().Set("Content-Length", "4000000000000000")
			return true
		}, "no room: 4000000000000000 bytes are to come"},
		{"asks to wait too long", status(503, http.Header{"Retry-After": {"4000"}}), "503 Service Unavailable; it asks to wait"},
		{"turns round", func(w http.ResponseWriter, r *http.Request, _ int) bool {
			http.Redirect(w, r, "/again", http.StatusFound)
			return true
		}, "more than 10 redirects"},
	} {
		t.Run(tt.name, func(t *testing.T) {
			s.Fault = tt.fault
			a, to := fetching(t, s, "")
			err := a.Run(t.Context(), step.Download{})
			steptest.WantError(t, err, tt.want)
			if strings.Contains(fmt.Sprint(err), "secret") {
				t.Errorf("got %q, want no query in it", err)
			}
			if _, err := os.Stat(to); err == nil {
				t.Error("got a target, want none")
			}
			if err := a.Undo(step.Download{}); err != nil {
				t.Fatal(err)
			}
			wantEmpty(t, filepath.Dir(to))
		})
	}
}

func status(code int, header http.Header) func(http.ResponseWriter, *http.Request, int) bool {
	return func(w http.ResponseWriter, _ *http.Request, _ int) bool {
		for name, values := range header {
			w.Header()[name] = values
		}
		w.WriteHeader(code)
		return true
	}
}

// TestTheServerMayMisbehave: whatever it does once, the file ends as it should.
func TestTheServerMayMisbehave(t *testing.T) {
	content := steptest.Pattern(300_000)
	for name, fault := range map[string]func(s *steptest.Server) func(http.ResponseWriter, *http.Request, int) bool{
		"closes early, four times": func(s *steptest.Server) func(http.ResponseWriter, *http.Request, int) bool {
			return s.CutAfter(66_000, 4)
		},
		"ignores Range": after(1, func(w http.ResponseWriter, s *steptest.Server) { _, _ = w.Write(s.Content) }),
		"lies about the range": after(1, func(w http.ResponseWriter, s *steptest.Server) {
			w.Header().Set("Content-Range", fmt.Sprintf("bytes 0-%d/%d", len(s.Content)-1, len(s.Content)))
			w.WriteHeader(http.StatusPartialContent)
			_, _ = w.Write(s.Content)
		}),
		"tells no range": after(1, func(w http.ResponseWriter, s *steptest.Server) {
			w.WriteHeader(http.StatusPartialContent)
			_, _ = w.Write(s.Content)
		}),
		"tells another total": after(1, func(w http.ResponseWriter, s *steptest.Server) {
			w.Header().Set("Content-Range", "bytes 66000-69999/70000")
			w.WriteHeader(http.StatusPartialContent)
			_, _ = w.Write(make([]byte, 4000))
		}),
		"sends another file's rest": after(1, func(w http.ResponseWriter, s *steptest.Server) {
			w.Header().Set("ETag", `"two"`)
			w.Header().Set("Content-Range", fmt.Sprintf("bytes 66000-%d/%d", len(s.Content)-1, len(s.Content)))
			w.WriteHeader(http.StatusPartialContent)
			_, _ = w.Write(make([]byte, len(s.Content)-66000))
		}),
		"refuses the range": after(1, func(w http.ResponseWriter, _ *steptest.Server) {
			w.WriteHeader(http.StatusRequestedRangeNotSatisfiable)
		}),
		"refuses the condition": after(1, func(w http.ResponseWriter, _ *steptest.Server) { w.WriteHeader(http.StatusPreconditionFailed) }),
		"is broken for once":    after(1, func(w http.ResponseWriter, _ *steptest.Server) { w.WriteHeader(http.StatusBadGateway) }),
		"is busy for once": after(1, func(w http.ResponseWriter, _ *steptest.Server) {
			w.Header().Set("Retry-After", "1")
			w.WriteHeader(http.StatusServiceUnavailable)
		}),
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			s := steptest.NewServer(t, content)
			s.Fault = fault(s)
			a, to := fetching(t, s, "")
			if err := a.Run(t.Context(), step.Download{}); err != nil {
				t.Fatalf("%v; requests %q", err, s.Requests())
			}
			steptest.WantFile(t, to, content)
		})
	}
}

// after is a server that closes the first answers at byte 66,000 and then once
// does something else.
func after(cuts int, then func(http.ResponseWriter, *steptest.Server)) func(s *steptest.Server) func(http.ResponseWriter, *http.Request, int) bool {
	return func(s *steptest.Server) func(http.ResponseWriter, *http.Request, int) bool {
		cut := s.CutAfter(66_000, cuts)
		return func(w http.ResponseWriter, r *http.Request, n int) bool {
			if cut(w, r, n) || n > cuts+1 {
				return n <= cuts
			}
			then(w, s)
			return true
		}
	}
}

// TestAResumedPartThatTurnsOutBadIsBegunAgain, by itself and once: flash, a broken cache
// or a server that calls another file by the same name may have spoilt it.
func TestAResumedPartThatTurnsOutBadIsBegunAgain(t *testing.T) {
	s := steptest.NewServer(t, steptest.Pattern(300_000))
	a, to := fetching(t, s, "")
	killAt(t, a, 128<<10)
	part, err := os.OpenFile(filepath.Join(filepath.Dir(to), ".file.ratchet-part"), os.O_WRONLY, 0)
	if err != nil {
		t.Fatal(err)
	}
	_, err = part.WriteAt([]byte("rot"), 1000)
	if err := errors.Join(err, part.Close()); err != nil {
		t.Fatal(err)
	}
	if err := a.Run(t.Context(), step.Download{}); err != nil {
		t.Fatal(err)
	}
	steptest.WantFile(t, to, s.Content)
	if got, want := s.Requests(), []string{"", "bytes=131072-", ""}; !slices.Equal(got, want) {
		t.Errorf("got ranges %q, want %q", got, want)
	}

	cut := s.CutAfter(66_000, 4)
	s.Fault = func(w http.ResponseWriter, r *http.Request, n int) bool { return cut(w, r, n-3) }
	a, _ = fetching(t, s, "")
	a.With = json.RawMessage(strings.Replace(string(a.With), steptest.Digest(s.Content), strings.Repeat("0", 64), 1))
	steptest.WantError(t, a.Run(t.Context(), step.Download{}), "want 0000")
	if got := strings.Count(a.Out.String(), "beginning again"); got != 1 {
		t.Errorf("got %d beginnings again, want 1: %s", got, a.Out.String())
	}
}

// TestAServerWhoseCertificateBeginsInAMomentIsAskedAgain: its clock, or this one, is
// seconds off.
func TestAServerWhoseCertificateBeginsInAMomentIsAskedAgain(t *testing.T) {
	content := steptest.Pattern(1000)
	ca := steptest.NewAuthority(t, "ca", nil)
	server := httptest.NewUnstartedServer(http.HandlerFunc(func(w http.ResponseWriter, _ *http.Request) { _, _ = w.Write(content) }))
	server.Config.ErrorLog = log.New(io.Discard, "", 0) // of the handshake that fails
	server.TLS = ca.Server("127.0.0.1", 30*time.Minute, 2*time.Hour)
	server.StartTLS()
	defer server.Close()
	asked := 0
	client := &http.Client{Transport: &http.Transport{TLSClientConfig: &tls.Config{RootCAs: ca.Pool(), Time: func() time.Time {
		if asked++; asked == 1 {
			return time.Now()
		}
		return time.Now().Add(45 * time.Minute)
	}}}}
	to := filepath.Join(t.TempDir(), "file")
	a := steptest.NewAttempt(t, `{"url":%q,"sha256":%q,"to":%q}`, server.URL+"/file", steptest.Digest(content), to)
	if err := a.Run(t.Context(), step.Download{Client: client}); err != nil {
		t.Fatal(err)
	}
	steptest.WantFile(t, to, content)
	if asked < 2 {
		t.Errorf("got the clock asked %d times, want the first answer to be too early", asked)
	}
}

// TestAChangedFileIsFetchedAnew: what was fetched is no beginning of it.
func TestAChangedFileIsFetchedAnew(t *testing.T) {
	s := steptest.NewServer(t, make([]byte, 300_000))
	a, to := fetching(t, s, "")
	killAt(t, a, 128<<10)
	s.Change(steptest.Pattern(300_000), `"two"`)
	a.With = json.RawMessage(fmt.Sprintf(`{"url":%q,"sha256":%q,"to":%q}`, s.URL, steptest.Digest(s.Content), to))
	if err := a.Run(t.Context(), step.Download{}); err != nil {
		t.Fatal(err)
	}
	steptest.WantFile(t, to, s.Content)
	if got := a.Out.String(); !strings.Contains(got, "beginning again") {
		t.Errorf("got output %q, want it to say so", got)
	}
}

func TestTheRateIsKept(t *testing.T) {
	s := steptest.NewServer(t, steptest.Pattern(300_000))
	a, to := fetching(t, s, `,"rate":"200kB"`)
	began := time.Now()
	if err := a.Run(t.Context(), step.Download{}); err != nil {
		t.Fatal(err)
	}
	steptest.WantFile(t, to, s.Content)
	if took := time.Since(began); took < 1200*time.Millisecond {
		t.Errorf("got 300 kB in %s, want about 1.5 s at 200 kB/s", took)
	}
}

func TestATimeoutEndsADownload(t *testing.T) {
	s := steptest.NewServer(t, steptest.Pattern(1_000_000))
	a, _ := fetching(t, s, `,"rate":1000`)
	a.Timeout = executor.Duration(200 * time.Millisecond)
	steptest.WantError(t, a.Run(t.Context(), step.Download{}), "timed out after 200ms")
	ctx, cancel := context.WithCancelCause(t.Context())
	why := errors.New("cancelled")
	time.AfterFunc(100*time.Millisecond, func() { cancel(why) })
	a.Timeout = 0
	if err := a.Run(ctx, step.Download{}); !errors.Is(err, why) {
		t.Errorf("got %v, want %v", err, why)
	}
}

func TestDownloadRefuses(t *testing.T) {
	sum := strings.Repeat("a", 64)
	for with, want := range map[string]string{
		`{"url":"ftp://h/f"}`:          "url: want an address",
		`{"url":"http://%zz:secret@"}`: "url: want an address",
		`{"url":"http://h/f"}`:         "sha256: ",
		`{"url":"http://h/f","sha256":"` + strings.ToUpper(sum) + `"}`:                      "lower-case hex",
		`{"url":"http://h/f","sha256":"` + sum + `"}`:                                       "to: want an absolute path",
		`{"url":"http://h/f","sha256":"` + sum + `","to":"f"}`:                              "to: ",
		`{"url":"http://h/f","sha256":"` + sum + `","to":"/a/../f"}`:                        "to: ",
		`{"url":"http://h/f","sha256":"` + sum + `","to":"/f","mode":"rwx"}`:                "mode: ",
		`{"url":"http://h/f","sha256":"` + sum + `","to":"/f","rate":"fast"}`:               "no size",
		`{"url":"http://h/f","sha256":"` + sum + `","to":"/f","headers":{"range":"x"}}`:     "sets this one itself",
		`{"url":"http://h/f","sha256":"` + sum + `","to":"/f","headers":{"X":"a\r\nB: c"}}`: "no HTTP header",
		`{"url":"http://h/f","sha256":"` + sum + `","to":"/f","signature":"x"}`:             "signature: unknown field",
	} {
		err := step.Download{}.Check([]byte(with))
		steptest.WantError(t, err, want)
		if strings.Contains(fmt.Sprint(err), "secret") {
			t.Errorf("got %q, want no password in it", err)
		}
	}
}

func TestADownloadWithoutADigestGoesOnAndFindsItsFolder(t *testing.T) {
	s := steptest.NewServer(t, steptest.Pattern(3_000_000))
	folder := t.TempDir()
	a := steptest.NewAttempt(t, `{"url":%q,"unverified":true,"to":%q}`, s.URL+"/image.bin?signature=x", folder)
	killAt(t, a, 1<<20)
	if err := a.Run(t.Context(), step.Download{}); err != nil {
		t.Fatal(err)
	}
	steptest.WantFile(t, filepath.Join(folder, "image.bin"), s.Content)
	if got := s.Requests(); len(got) != 2 || got[1] == "" {
		t.Errorf("got ranges %q, want the second to go on", got)
	}
	if err := a.Undo(step.Download{}); err != nil {
		t.Fatal(err)
	}
	if left, err := os.ReadDir(folder); err != nil || len(left) > 0 {
		t.Errorf("got %v, %v left by the undo, want nothing", left, err)
	}
}
