package firmware_test

import (
	"bytes"
	"fmt"
	"io"
	"net/http"
	"os"
	"path/filepath"
	"strconv"
	"strings"
	"testing"
	"time"

	"aead.dev/minisign"

	"github.com/ratchetd/ratchet/executor/step/steptest"
)

// bigImage is larger than what a pipe and the end that is held back can take.
func bigImage(version string) []byte {
	return append(steptest.Image(version), bytes.Repeat([]byte("more\n"), 200<<10)...)
}

// newTight is a step on the board with two slots, whose disk has no room for the image.
func newTight(t *testing.T, s *steptest.Server, sum, more string) *flight {
	f := newFlight(t, "2.0", "")
	f.kind.Files = steptest.NoRoom(f.kind.Files)
	f.Attempt = steptest.NewAttempt(t, `{"url":%q,"sha256":%q,"version":"2.0"%s}`, s.URL, sum, more)
	return f
}

// in fails the test when a step does not end.
func (f *flight) in(d time.Duration) error {
	f.t.Helper()
	ended := make(chan error, 1)
	go func() { ended <- f.run() }()
	select {
	case err := <-ended:
		return err
	case <-time.After(d):
		f.t.Fatalf("it still runs after %s", d)
		return nil
	}
}

func (f *flight) holdsNothing(why string) {
	f.t.Helper()
	if got := steptest.Slots(f.dir).Get("slots/B"); strings.HasPrefix(got, "2") || steptest.Slots(f.dir).Get("next") != "A" {
		f.t.Errorf("%s: got %s in B and %s next, want nothing activated", why, got, steptest.Slots(f.dir).Get("next"))
	}
	if err := f.undoAll(); err != nil || f.runs() != "1.0 in A" {
		f.t.Errorf("%s: undone got %v and %s", why, err, f.runs())
	}
}

func TestAnImageWithoutRoomIsWrittenAsItComes(t *testing.T) {
	t.Parallel()
	for name, big := range map[string][]byte{"small": steptest.Image("2.0"), "big": bigImage("2.0")} {
		f := newTight(t, steptest.NewServer(t, big), steptest.Digest(big), `,"board":"stand-in"`)
		if err := f.in(20 * time.Second); err != nil || f.runs() != "2.0 in B" {
			t.Errorf("%s: got %v and %s, want 2.0 in B", name, err, f.runs())
		}
		if left, _ := filepath.Glob(filepath.Join(f.Dir, "*")); len(left) != 0 {
			t.Errorf("%s: got %v, want no image left", name, left)
		}
	}
}

// TestAStreamThatIsNotWhatItShouldBeIsNotActivated: the board's script never
// sees its end, although all but the digest or the signature is right.
func TestAStreamThatIsNotWhatItShouldBeIsNotActivated(t *testing.T) {
	t.Parallel()
	big := bigImage("2.0")
	server := steptest.NewServer(t, append(bigImage("2.0"), 'x'))
	server.Fault = func(w http.ResponseWriter, _ *http.Request, _ int) bool {
		w.Header().Set("Content-Encoding", "br")
		return false
	}
	f := newTight(t, server, steptest.Digest(big), "")
	steptest.WantError(t, f.in(20*time.Second), "sha256 is ")
	steptest.WantError(t, f.in(20*time.Second), "the server packed it unasked, Content-Encoding: br")
	f.holdsNothing("wrong digest")

	public, private, err := minisign.GenerateKey(nil)
	if err != nil {
		t.Fatal(err)
	}
	signature := func(text []byte) string {
		r := minisign.NewReader(bytes.NewReader(text))
		if _, err := io.Copy(io.Discard, r); err != nil {
			t.Fatal(err)
		}
		return string(r.Sign(private))
	}
	for text, want := range map[string]string{signature(big): "", signature(steptest.Image("2.0")): "not that of this file",
		string(minisign.Sign(private, big)): "minisign -H"} {
		f := newTight(t, steptest.NewServer(t, big), steptest.Digest(big), fmt.Sprintf(`,"signature":%q`, text))
		f.kind.Keys = []string{public.String()}
		err := f.in(20 * time.Second)
		if want == "" {
			if err != nil || f.runs() != "2.0 in B" {
				t.Errorf("signed: got %v and %s", err, f.runs())
			}
			continue
		}
		steptest.WantError(t, err, want)
		f.holdsNothing(want)
	}
}

func TestAStreamThatBreaksOffIsBegunAnew(t *testing.T) {
	t.Parallel()
	big := bigImage("2.0")
	s := steptest.NewServer(t, big)
	s.Fault = func(w http.ResponseWriter, r *http.Request, n int) bool {
		switch {
		case n == 2:
			w.WriteHeader(http.StatusBadGateway)
		case n == 3:
			w.Header().Set("Content-Length", strconv.Itoa(len(big)))
			_, _ = w.Write(big[:300<<10])
			panic(http.ErrAbortHandler)
		}
		return n == 2
	}
	f := newTight(t, s, steptest.Digest(big), "")
	if err := f.in(30 * time.Second); err != nil || f.runs() != "2.0 in B" {
		t.Errorf("got %v and %s, want 2.0 in B", err, f.runs())
	}
	if got := len(s.Requests()); got != 4 {
		t.Errorf("got %d requests, want one that found no room, two that broke off and the last", got)
	}
}

// TestABackendThatEndsEarlyHangsNobody: with an error, or as if all were well.
func TestABackendThatEndsEarlyHangsNobody(t *testing.T) {
	t.Parallel()
	for line, want := range map[string]string{
		"echo worn out >&2; exit 3": "exit status 3: worn out",
		"exit 0":                    "script ended before the image did",
		"exec <&-; sleep 1; exit 0": "script ended before the image did",
	} {
		big := bigImage("2.0")
		f := newTight(t, steptest.NewServer(t, big), steptest.Digest(big), "")
		script, err := os.ReadFile(steptest.StandIn(t, "firmware/board"))
		if err != nil {
			t.Fatal(err)
		}
		text := strings.Replace(string(script), "install)\n", "install)\n"+line+"\n", 1)
		if err := os.Remove(filepath.Join(f.dir, "board")); err != nil {
			t.Fatal(err)
		}
		if err := os.WriteFile(filepath.Join(f.dir, "board"), []byte(text), 0o755); err != nil {
			t.Fatal(err)
		}
		steptest.WantError(t, f.in(20*time.Second), want)
		f.holdsNothing(line)
	}
}
