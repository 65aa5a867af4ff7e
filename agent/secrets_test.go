package agent

import (
	"bytes"
	"compress/gzip"
	"fmt"
	"io"
	"net/http"
	"net/http/httptest"
	"os"
	"path/filepath"
	"strings"
	"sync"
	"testing"
	"time"

	"github.com/ratchetd/ratchet/executor"
)

// What differs between devices is in their vars, not in the job.
func TestOneJobGivesTenDevicesTenAddresses(t *testing.T) {
	b := newBroker(t)
	dir := t.TempDir()
	for i := range 10 {
		d := newDevice(t, b, fmt.Sprintf("vars = {lan = \"192.168.%d.1\", file = %q}", i, filepath.Join(dir, fmt.Sprint(i))))
		d.write("ratchet.toml", strings.Replace(readAll(t, filepath.Join(d.dir, "ratchet.toml")), "gw-1", fmt.Sprintf("gw-%d", i), 1))
		d.start()
	}
	b.offer("group/routers", `{"id":"lan","steps":[
		{"name":"say","command":{"argv":["echo",{"jq":"\"\\(.facts.device) has \\(.vars.lan)\""}]}},
		{"name":"set","command":{"shell":"echo \"address $LAN\" >\"$FILE\"","env":{"LAN":{"jq":".vars.lan"},"FILE":{"jq":".vars.file"}}}}]}`)
	for i := range 10 {
		topic := fmt.Sprintf("ratchet/v1/device/gw-%d/jobs/lan", i)
		s := statusOf(b.await(topic, func(p string) bool { return statusOf(p).State.Final() }))
		wantState(t, s, executor.Succeeded)
		if want := fmt.Sprintf("gw-%d has 192.168.%d.1\n", i, i); s.Steps[0].Output != want {
			t.Errorf("got output %q, want %q", s.Steps[0].Output, want)
		}
		if got, want := read(t, filepath.Join(dir, fmt.Sprint(i))), fmt.Sprintf("address 192.168.%d.1", i); got != want {
			t.Errorf("gw-%d: got %q, want %q", i, got, want)
		}
	}
}

// readAll is a file as it is.
func readAll(t *testing.T, file string) string {
	t.Helper()
	text, err := os.ReadFile(file)
	if err != nil {
		t.Fatal(err)
	}
	return string(text)
}

const (
	theSecret = "correct-horse-battery"
	noSecret  = "this-may-be-read" // what shows that a place was really searched
)

// secretive uses a secret in every way there is, and tells it where it can.
const secretive = `{"id":"j1","steps":[
	{"name":"write","file":{"path":"DIR/psk","content":{"secret":"wifi"}}},
	{"name":"env","stream":true,"command":{"shell":"echo this-may-be-read $PSK; echo $PSK >&2; touch DIR/inside; until test -e DIR/seen; do sleep 0.05; done","env":{"PSK":{"secret":"wifi"}}}},
	{"name":"fails","continueOnFailure":true,"config":{"files":[{"path":"DIR/conf","content":{"secret":"wifi"}}],"validate":["sh","-c","echo this-may-be-read; cat .DIR/conf; cat .DIR/conf >&2; exit 1"]}},
	{"name":"collect","diagnostic":{"checks":[{"command":["cat","DIR/psk"]}],"collect":{"to":"DIR/bundle","files":["DIR/psk","DIR/plain"],"commands":[["cat","DIR/psk"]]}}},
	{"name":"refused","continueOnFailure":true,"upload":{"paths":["DIR/plain"],"url":"URL/refuse","headers":{"Authorization":{"secret":"wifi"}}}},
	{"name":"send","upload":{"paths":["DIR/bundle"],"url":"URL/take","headers":{"Authorization":{"secret":"wifi"}}}},
	{"name":"fetch","download":{"url":"URL/plain","sha256":"SHA","to":"DIR/fetched","headers":{"Authorization":{"secret":"wifi"}}}}]}`

// A secret does its work, and is found in no status, log, bundle, journal or
// list of processes.
func TestASecretLeavesNoTrace(t *testing.T) {
	b := newBroker(t)
	taker := &taker{}
	server := httptest.NewServer(taker)
	t.Cleanup(server.Close)
	d := newDevice(t, b, "")
	var log spill
	d.log = &log
	if err := os.Mkdir(filepath.Join(d.dir, "secrets"), 0o700); err != nil {
		t.Fatal(err)
	}
	d.write("secrets/wifi", theSecret+"\n")
	out := t.TempDir()
	if err := os.WriteFile(filepath.Join(out, "plain"), []byte(noSecret), 0o600); err != nil {
		t.Fatal(err)
	}
	d.start().online(b)
	b.offer("device/gw-1", strings.NewReplacer("DIR", out, "URL", server.URL, "SHA", executor.Digest([]byte(noSecret))).Replace(secretive))
	await(t, "the step with the secret in its environment", func() bool { return exists(filepath.Join(out, "inside")) })
	unfindable(t, "the list of processes, while the step runs", commandLines(t), out)
	unfindable(t, "the journal, while the step runs", readAll(t, filepath.Join(d.dir, "state/ratchet.db")), "secret")
	if err := os.WriteFile(filepath.Join(out, "seen"), nil, 0o600); err != nil {
		t.Fatal(err)
	}
	s := b.final("j1")
	wantState(t, s, executor.Succeeded)
	d.stop()

	if got := readAll(t, filepath.Join(out, "psk")); got != theSecret {
		t.Errorf("got %q in the file, want the secret", got)
	}
	if got := taker.tokens(); got != strings.Repeat(theSecret+" ", 3) {
		t.Errorf("got headers %q, want the secret three times", got)
	}
	if got := s.Steps[1].Output; strings.Count(got, "********\n") != 2 || !strings.Contains(got, noSecret+" ****") {
		t.Errorf("got output %q, want both lines with the secret hidden", got)
	}
	var said strings.Builder
	for _, p := range b.said {
		fmt.Fprintf(&said, "%s %s\n", p.TopicName, p.Payload)
	}
	unfindable(t, "what was told", said.String(), noSecret)
	unfindable(t, "the log", log.String(), "j1")
	unfindable(t, "the journal", readAll(t, filepath.Join(d.dir, "state/ratchet.db")), noSecret)
	unfindable(t, "the bundle", unzip(t, readAll(t, filepath.Join(out, "bundle"))), noSecret)
	unfindable(t, "what was uploaded", unzip(t, string(taker.body)), noSecret)
}

// unfindable asserts that the secret is not in text, and that control is.
func unfindable(t *testing.T, where, text, control string) {
	t.Helper()
	if i := strings.Index(text, theSecret); i >= 0 {
		t.Errorf("%s holds the secret: %q", where, text[max(0, i-200):i+len(theSecret)])
	}
	if !strings.Contains(text, control) {
		t.Errorf("%s, %d bytes, does not hold %q: it was not searched", where, len(text), control)
	}
}

// exists reports whether a file is there.
func exists(file string) bool { _, err := os.Stat(file); return err == nil }

// commandLines is what ps shows.
func commandLines(t *testing.T) string {
	files, err := filepath.Glob("/proc/[0-9]*/cmdline")
	if err != nil {
		t.Fatal(err)
	}
	var all strings.Builder
	for _, f := range files {
		text, _ := os.ReadFile(f) // it may have ended
		all.Write(text)
	}
	return all.String()
}

func unzip(t *testing.T, text string) string {
	t.Helper()
	r, err := gzip.NewReader(strings.NewReader(text))
	if err != nil {
		t.Fatal(err)
	}
	all, err := io.ReadAll(r)
	if err != nil {
		t.Fatal(err)
	}
	return string(all)
}

// A taker is a server that takes files, or tells whoever it refuses by what.
type taker struct {
	mu    sync.Mutex
	asked []string
	body  []byte
}

func (s *taker) ServeHTTP(w http.ResponseWriter, r *http.Request) {
	body, _ := io.ReadAll(r.Body)
	s.mu.Lock()
	defer s.mu.Unlock()
	token := r.Header.Get("Authorization")
	s.asked = append(s.asked, token)
	switch r.URL.Path {
	case "/refuse":
		http.Error(w, "no right with "+token, http.StatusForbidden)
	case "/take":
		s.body = body
	default:
		http.ServeContent(w, r, "", time.Time{}, strings.NewReader(noSecret))
	}
}

func (s *taker) tokens() string {
	s.mu.Lock()
	defer s.mu.Unlock()
	return strings.Join(s.asked, " ") + " "
}

// A spill is a log that several goroutines write.
type spill struct {
	mu   sync.Mutex
	text bytes.Buffer
}

func (s *spill) Write(p []byte) (int, error) {
	s.mu.Lock()
	defer s.mu.Unlock()
	return s.text.Write(p)
}

func (s *spill) String() string {
	s.mu.Lock()
	defer s.mu.Unlock()
	return s.text.String()
}
