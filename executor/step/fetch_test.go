package step_test

import (
	"fmt"
	"net/http"
	"path/filepath"
	"strings"
	"testing"
	"testing/synctest"
	"time"

	"github.com/ratchetd/ratchet/executor/step"
	"github.com/ratchetd/ratchet/executor/step/steptest"
)

// inNoTime runs a download from s in a bubble, and returns how long it would
// have taken.
func inNoTime(t *testing.T, s *steptest.Server, check func(err error, took time.Duration)) {
	t.Helper()
	synctest.Test(t, func(t *testing.T) {
		lines := make(steptest.Memory)
		web := &http.Server{Handler: s}
		go func() { _ = web.Serve(lines) }()
		defer web.Close()
		a := steptest.NewAttempt(t, `{"url":"http://host/file","sha256":%q,"to":%q}`, steptest.Digest(s.Content), filepath.Join(t.TempDir(), "f"))
		began := time.Now()
		err := a.Run(t.Context(), step.Download{Client: &http.Client{Transport: &http.Transport{DialContext: lines.Dial}}})
		check(err, time.Since(began))
	})
}

func TestFiveMinutesWithoutAByteAreEnough(t *testing.T) {
	s := &steptest.Server{Content: steptest.Pattern(200_000), ETag: `"one"`}
	cut := s.CutAfter(70_000, 1)
	s.Fault = func(w http.ResponseWriter, r *http.Request, n int) bool {
		if n > 1 {
			<-r.Context().Done() // a half-open connection
			return true
		}
		return cut(w, r, n)
	}
	inNoTime(t, s, func(err error, took time.Duration) {
		steptest.WantError(t, err, "no byte for 5m0s: GET http://host/file: the connection brings nothing any more")
		if took < 5*time.Minute || took > 6*time.Minute {
			t.Errorf("got an end after %s, want 5 minutes", took)
		}
	})
	if got := s.Requests(); len(got) < 4 || got[3] != "bytes=70000-" {
		t.Errorf("got ranges %q, want several tries to go on at 70000", got)
	}
}

func TestRetryAfterIsHonoured(t *testing.T) {
	for name, header := range map[string]http.Header{
		"seconds": {"Retry-After": {"400"}},
		"a date":  {"Retry-After": {"Wed, 21 Oct 2015 07:06:40 GMT"}, "Date": {"Wed, 21 Oct 2015 07:00:00 GMT"}},
	} {
		t.Run(name, func(t *testing.T) {
			s := &steptest.Server{Content: steptest.Pattern(1000), ETag: `"one"`}
			busy := status(http.StatusTooManyRequests, header)
			s.Fault = func(w http.ResponseWriter, r *http.Request, n int) bool { return n <= 2 && busy(w, r, n) }
			inNoTime(t, s, func(err error, took time.Duration) {
				if err != nil || took != 800*time.Second {
					t.Errorf("got %v after %s, want success after 13m20s", err, took)
				}
			})
		})
	}
}

// TestAServerThatCannotResumeDoesNotWearOutTheFlash: it always closes early.
func TestAServerThatCannotResumeDoesNotWearOutTheFlash(t *testing.T) {
	for _, etag := range []string{"", `"one"`} {
		s := &steptest.Server{Content: steptest.Pattern(200_000), ETag: etag}
		s.Fault = func(w http.ResponseWriter, _ *http.Request, _ int) bool {
			if etag != "" {
				w.Header().Set("ETag", etag)
			}
			w.Header().Set("Content-Length", "200000")
			_, _ = w.Write(s.Content[:100_000])
			panic(http.ErrAbortHandler)
		}
		inNoTime(t, s, func(err error, took time.Duration) {
			steptest.WantError(t, err, "closes early and cannot resume: given up after 4 beginnings")
		})
		if got := s.BytesSent(); got > 500_000 {
			t.Errorf("etag %q: got %d bytes sent, want no endless loop", etag, got)
		}
	}
}

// TestAFlakyLinkIsNoFailure: fifty connections that each bring a little.
func TestAFlakyLinkIsNoFailure(t *testing.T) {
	s := &steptest.Server{Content: steptest.Pattern(1_000_000), ETag: `"one"`}
	s.Fault = s.CutAfter(20_000, 1000)
	inNoTime(t, s, func(err error, took time.Duration) {
		if err != nil || took > 3*time.Minute {
			t.Errorf("got %v after %s, want success in about a minute", err, took)
		}
	})
	ranges := strings.Join(s.Requests(), " ")
	if want := fmt.Sprintf("bytes=%d-", 980_000); len(s.Requests()) != 50 || !strings.HasSuffix(ranges, want) {
		t.Errorf("got %d requests, the last of %s, want 50 that go on", len(s.Requests()), ranges)
	}
}
