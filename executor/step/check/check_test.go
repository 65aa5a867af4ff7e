package check_test

import (
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"net"
	"os"
	"path/filepath"
	"strings"
	"testing"
	"time"

	"github.com/ratchetd/ratchet/executor/step/check"
	"github.com/ratchetd/ratchet/executor/step/steptest"
)

func TestCheckRefuses(t *testing.T) {
	for raw, want := range map[string]string{
		`[]`:                                          "want an object",
		`{}`:                                          "it names nothing to check",
		`{"name":"x"}`:                                "it names nothing to check",
		`{"pong":"a"}`:                                "pong: no such check or field",
		`{"dns":"a","ping":"a"}`:                      "dns and ping: want exactly one key",
		`{"dns":"a","dns":"b"}`:                       "dns: given twice",
		`{"dns":1}`:                                   "dns: want a string, got number",
		`{"dns":"192.0.2.1"}`:                         "dns: \"192.0.2.1\": want a name to look up, not an address",
		`{"ping":"-f"}`:                               "ping: \"-f\": want the name or the address of a host",
		`{"ping":"a b"}`:                              "ping:",
		`{"tcp":"example.com"}`:                       "tcp: \"example.com\": want \"host:port\"",
		`{"tcp":"example.com:99999"}`:                 "tcp:",
		`{"http":"ftp://example.com/"}`:               "http: want a URL that begins with http:// or https://",
		`{"http":"http://"}`:                          "http:",
		`{"disk":"var"}`:                              "disk: \"var\": want an absolute path",
		`{"file":"/etc/../x"}`:                        "file: \"/etc/../x\": want an absolute path",
		`{"memory":false}`:                            "memory: want true",
		`{"service":"../x"}`:                          "service: \"../x\": want a plain name",
		`{"process":"/bin/x"}`:                        "process: \"/bin/x\": want the name of a program",
		`{"command":[]}`:                              "command: want a program and its arguments",
		`{"command":"ls -l"}`:                         "command: want a list, got string",
		`{"command":["a","b\u0000"]}`:                 "command: [1]: holds a NUL byte",
		`{"link":"eth0","below":3}`:                   "below: link gives no figure",
		`{"load":true,"above":3,"below":2}`:           "above: 3 and below 2 leave no figure that passes",
		`{"load":true,"below":"3"}`:                   "below: want a number, got string",
		`{"load":true,"within":"soon"}`:               "\"soon\" is no duration",
		`{"dns":"a","status":200}`:                    "status: dns gives no status",
		`{"http":"http://a/","status":99}`:            "status: 99: want 100 to 599",
		`{"dns":"a","repair":[]}`:                     "repair: want a program and its arguments",
		`{"dns":"a","name":"a\nb"}`:                   "name: \"a\\nb\": want 1 to 64 printable characters",
		`{"dns":"a","Name":"b"}`:                      "Name: no such check or field",
		`{"dns":"` + strings.Repeat("a", 2000) + `"}`: "dns: want at most 1024 printable characters",
	} {
		_, err := check.Parse(json.RawMessage(raw))
		if err == nil || !strings.Contains(err.Error(), want) {
			t.Errorf("%.80s: got %v, want %q", raw, err, want)
		}
	}
}

func TestACheckWithoutANameIsNamedByWhatItLooksAt(t *testing.T) {
	for raw, want := range map[string]string{
		`{"dns":"example.com"}`:                                "dns example.com",
		`{"memory":true,"below":90,"name":"room"}`:             "room",
		`{"gateway":true}`:                                     "gateway",
		`{"command":["iwinfo","wlan0"]}`:                       "command iwinfo wlan0",
		`{"http":"https://a/` + strings.Repeat("é", 99) + `"}`: "http https://a/" + strings.Repeat("é", 23) + "...",
	} {
		c, err := check.Parse(json.RawMessage(raw))
		if err != nil || c.Name != want {
			t.Errorf("%s: got %q, %v, want %q", raw, c.Name, err, want)
		}
	}
}

func FuzzParseCheck(f *testing.F) {
	for _, seed := range []string{`{"dns":"example.com","below":100}`, `{"command":["a"],"repair":["b"]}`, `{"http":"http://[::1]:80/"}`, `{"tcp":"[fe80::1%eth0]:1"}`} {
		f.Add([]byte(seed))
	}
	f.Fuzz(func(t *testing.T, raw []byte) {
		c, err := check.Parse(raw)
		if err == nil && (c.Name == "" || len(c.Name) > 64 || c.Kind == "") {
			t.Errorf("got %+v from %s, want a name and a kind", c, raw)
		}
	})
}

// check makes one check with a Checker of the zero value, but for broker.
func checkOne(ctx context.Context, format string, args ...any) error {
	k := check.Checker{Broker: func(context.Context) error { return errors.New("not connected yet") }}
	return k.Check(ctx, json.RawMessage(fmt.Sprintf(format, args...)))
}

func TestCheckSaysWhatIsWrong(t *testing.T) {
	flag := filepath.Join(t.TempDir(), "flag")
	if err := os.WriteFile(flag, nil, 0o600); err != nil {
		t.Fatal(err)
	}
	for _, c := range []struct{ check, err string }{
		{fmt.Sprintf(`{"file":%q}`, flag), ""},
		{`{"file":"/no/such","name":"flag"}`, "check flag failed: /no/such does not exist"},
		{`{"memory":true,"below":100.1,"above":-1}`, ""},
		{`{"memory":true,"below":0}`, "%, want below 0%; "},
		{`{"disk":"/","above":101}`, "%, want above 101%; "},
		{`{"disk":"/no/such"}`, "check disk /no/such is unknown: asking /no/such for its room"},
		{`{"load":true,"below":1000000}`, ""},
		{`{"link":"lo"}`, ""},
		{`{"link":"none0"}`, "check link none0 failed: there is no interface none0"},
		{`{"process":"no-such-process"}`, "no process is called no-such-process"},
		{`{"command":["true"]}`, ""},
		{`{"command":["sh","-c","echo this; echo that >&2; exit 3"]}`, "failed: exit status 3: that"},
		{`{"command":["sh","-c","kill -9 $$"]}`, "killed by SIGKILL"},
		{`{"command":["no-such-program"]}`, "is unknown: starting no-such-program: not found"},
		{`{"command":["sleep","60"],"within":"50ms"}`, "failed: took longer than 50ms"},
		{`{"broker":true}`, "check broker failed: not connected yet"},
		{`{"dns":1}`, "dns: want a string"},
	} {
		err := checkOne(t.Context(), "%s", c.check)
		if c.err == "" && err != nil {
			t.Errorf("%s: got %v, want nil", c.check, err)
		}
		if c.err != "" {
			steptest.WantError(t, err, c.err)
		}
	}
	steptest.WantError(t, check.Checker{}.Check(t.Context(), json.RawMessage(`{"broker":true}`)), "is unknown")
}

func TestACheckTakesNoLongerThanWithin(t *testing.T) {
	silent, err := net.Listen("tcp", "127.0.0.1:0") // it accepts, and says nothing
	if err != nil {
		t.Fatal(err)
	}
	defer silent.Close()
	start := time.Now()
	err = checkOne(t.Context(), `{"http":"http://%s/","within":"100ms"}`, silent.Addr())
	steptest.WantError(t, err, "failed: took longer than 100ms")
	if took := time.Since(start); took > 5*time.Second {
		t.Errorf("took %s, want about 100ms", took)
	}
}

func TestACancelledCheckSaysSo(t *testing.T) {
	ctx, cancel := context.WithCancelCause(t.Context())
	time.AfterFunc(20*time.Millisecond, func() { cancel(errors.New("cancelled")) })
	steptest.WantError(t, checkOne(ctx, `{"command":["sleep","60"]}`), "failed: cancelled")
}

// system is a root directory with the programs that a service check asks.
func system(t *testing.T, files map[string]string) string {
	t.Helper()
	root := t.TempDir()
	for name, script := range files {
		path := filepath.Join(root, name)
		if err := os.MkdirAll(filepath.Dir(path), 0o755); err != nil {
			t.Fatal(err)
		}
		if err := os.WriteFile(path, []byte("#!/bin/sh\n"+script+"\n"), 0o755); err != nil {
			t.Fatal(err)
		}
	}
	return root
}

func TestServiceIsAskedOfSystemdOrProcd(t *testing.T) {
	systemd := system(t, map[string]string{"run/systemd/system/x": "", "bin/systemctl": `
		[ "$1" = is-active ] || exit 99
		case $2 in up) echo active;; sick) echo failed; exit 3;; none) echo inactive; exit 4;; *) echo 'Failed to connect to bus'; exit 1;; esac`})
	procd := system(t, map[string]string{"etc/rc.common": "", "etc/init.d/up": `[ "$*" = running ]`, "etc/init.d/down": "exit 1",
		"etc/init.d/old": "echo 'Syntax: old [command]'"})
	for _, c := range []struct{ root, service, err string }{
		{systemd, "up", ""},
		{systemd, "sick", "failed: sick is failed"},
		{systemd, "none", "failed: none is inactive"},
		{systemd, "odd", "is unknown: asking for odd: exit status 1: Failed to connect to bus"},
		{procd, "up", ""},
		{procd, "down", "failed: down does not run"},
		{procd, "none", "failed: there is no service none"},
		{procd, "old", "is unknown: old cannot say whether it runs"},
		{t.TempDir(), "up", "is unknown: neither systemd nor procd runs here"},
	} {
		err := check.Checker{Root: c.root}.Check(t.Context(), json.RawMessage(fmt.Sprintf(`{"service":%q}`, c.service)))
		if c.err == "" && err != nil {
			t.Errorf("%s: got %v, want nil", c.service, err)
		}
		if c.err != "" {
			steptest.WantError(t, err, c.err)
		}
	}
}
