package diagnostic_test

import (
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"net"
	"net/http"
	"net/http/httptest"
	"os"
	"path/filepath"
	"strings"
	"testing"

	"github.com/ratchetd/ratchet/executor"
	"github.com/ratchetd/ratchet/executor/step/check"
	"github.com/ratchetd/ratchet/executor/step/diagnostic"
	"github.com/ratchetd/ratchet/executor/step/process"
	"github.com/ratchetd/ratchet/executor/step/steptest"
)

// diagnose runs the kind once and returns its result by name, and its output.
func diagnose(t *testing.T, k diagnostic.Kind, format string, args ...any) (map[string]check.Result, string, error) {
	t.Helper()
	a := steptest.NewAttempt(t, format, args...)
	if err := k.Check(a.With); err != nil {
		t.Fatal(err)
	}
	task := a.Next()
	err := k.Run(t.Context(), task)
	var result struct{ Checks []check.Result }
	if len(task.Result) > executor.MaxOutput || json.Unmarshal(task.Result, &result) != nil {
		t.Fatalf("got the result %s, want JSON of at most %d bytes", task.Result, executor.MaxOutput)
	}
	byName := map[string]check.Result{}
	for _, r := range result.Checks {
		byName[r.Name] = r
	}
	return byName, a.Out.String(), err
}

func wantState(t *testing.T, got check.Result, state, reason string) {
	t.Helper()
	if got.State != state || !strings.Contains(got.Reason, reason) {
		t.Errorf("%s: got %s, %q, want %s, %q", got.Name, got.State, got.Reason, state, reason)
	}
}

func TestABrokenDNSIsBlamedOnce(t *testing.T) {
	conf, _ := brokenDNS(t)
	server := httptest.NewServer(http.HandlerFunc(func(http.ResponseWriter, *http.Request) {}))
	defer server.Close()
	got, table, err := diagnose(t, diagnostic.Kind{Checker: asking(conf)},
		`{"checks":[{"http":"http://device.example.com/","name":"web"},{"tcp":"device.example.com:80","name":"tcp"},
		{"dns":"device.example.com","name":"names"},{"http":%q,"name":"by address"}]}`, server.URL)
	steptest.WantError(t, err, "1 of 4 checks failed: names: lookup device.example.com", "connection refused")
	wantState(t, got["names"], "failed", "connection refused")
	wantState(t, got["web"], "skipped", "depends on names, which failed")
	wantState(t, got["tcp"], "skipped", "depends on names, which failed")
	wantState(t, got["by address"], "ok", "status 200")
	if v := got["by address"]; v.Value == nil || v.Unit != "ms" {
		t.Errorf("got %+v, want milliseconds", v)
	}
	t.Logf("the table:\n%s", table)
	for i, begin := range []string{"skipped  web  ", "skipped  tcp  ", "failed   names  ", "ok       by address  "} {
		if line := strings.Split(table, "\n")[i]; !strings.HasPrefix(line, begin) {
			t.Errorf("line %d of the table: got %q, want %q", i, line, begin)
		}
	}
}

func TestARepairMendsTheDNS(t *testing.T) {
	conf, mended := brokenDNS(t)
	server := httptest.NewServer(http.HandlerFunc(func(http.ResponseWriter, *http.Request) {}))
	defer server.Close()
	_, port, _ := net.SplitHostPort(server.Listener.Addr().String())
	got, table, err := diagnose(t, diagnostic.Kind{Checker: asking(conf)},
		`{"checks":[{"http":"http://device.example.com:%s/","name":"web"},{"dns":"device.example.com","name":"names","repair":["mv",%q,%q]}]}`,
		port, mended, conf)
	if err != nil {
		t.Errorf("got %v, want the step to succeed", err)
	}
	t.Logf("the table:\n%s", table)
	wantState(t, got["names"], "ok", "127.0.0.1; was: lookup device.example.com")
	wantState(t, got["web"], "ok", "status 200")
	if !got["names"].Repaired || got["web"].Repaired {
		t.Errorf("repaired: got %v and %v, want true and false", got["names"].Repaired, got["web"].Repaired)
	}
}

func TestARepairRunsOnceAndOnlyWhenTheCheckFailed(t *testing.T) {
	dir := t.TempDir()
	repair := fmt.Sprintf(`"within":"100ms","repair":["sh","-c","echo mending; echo x >> %s/$0",`, dir)
	got, table, err := diagnose(t, diagnostic.Kind{},
		`{"checks":[{"name":"a","file":"/no/such",%s"a"]},{"name":"b","file":"/",%s"b"]},{"name":"c","command":["no-such"],%s"c"]},
		{"name":"l","link":"none0"},{"name":"d","dns":"device.example.com",%s"d"]},{"name":"e","file":"/no/such","within":"100ms","repair":["false"]}]}`,
		repair, repair, repair, repair)
	steptest.WantError(t, err, "3 of 6 checks failed: a: /no/such does not exist; its repair changed nothing; ")
	wantState(t, got["c"], "unknown", "no-such")
	wantState(t, got["d"], "skipped", "depends on l")
	wantState(t, got["e"], "failed", "its repair: exit status 1")
	entries, _ := os.ReadDir(dir)
	if text, err := os.ReadFile(filepath.Join(dir, "a")); len(entries) != 1 || string(text) != "x\n" {
		t.Errorf("got %v and %q, %v, want one repair of a and of nothing else", entries, text, err)
	}
	if !strings.Contains(table, "mending\n") {
		t.Errorf("got the output %q, want what the repair said", table)
	}
}

func TestARepairHasUntilWithinToWork(t *testing.T) {
	t.Parallel()
	flag := filepath.Join(t.TempDir(), "flag")
	got, _, err := diagnose(t, diagnostic.Kind{},
		`{"checks":[{"name":"a","command":["sh","-c","echo x >> %[1]s; [ $(wc -l < %[1]s) -gt 2 ]"],"repair":["true"],"within":"8s"}]}`, flag)
	if err != nil || !got["a"].Repaired {
		t.Errorf("got %+v, %v, want it repaired at the third look", got["a"], err)
	}
}

// TestWhatDependsOnAFailedCheckIsSkipped walks the order of the network: a
// link that does not exist takes all above it down, but for a broker that is
// reached all the same, and what is on this device.
func TestWhatDependsOnAFailedCheckIsSkipped(t *testing.T) {
	network := `{"checks":[{"http":"http://device.example.com/","name":"http"},{"ping":"device.example.com","name":"ping"},{"broker":true},
		{"dns":"device.example.com","name":"dns"},{"gateway":true},{"address":"none0","name":"address"},{"link":"none0","name":"link"},{"link":"none1","name":"link 2"},
		{"tcp":"127.0.0.1:1","name":"here"},{"address":"lo","name":"other"}]}`
	var reached error
	k := diagnostic.Kind{Checker: check.Checker{Broker: func(context.Context) error { return reached }}}
	got, _, _ := diagnose(t, k, "%s", network)
	for _, name := range []string{"address", "gateway", "dns", "ping", "http"} {
		wantState(t, got[name], "skipped", "depends on link, which failed")
	}
	wantState(t, got["broker"], "ok", "")
	wantState(t, got["here"], "failed", "connection refused")
	wantState(t, got["other"], "ok", "127.0.0.1") // it is no part of that way
	reached = errors.New("not connected yet")
	got, _, err := diagnose(t, k, "%s", network)
	wantState(t, got["broker"], "skipped", "depends on link, which failed")
	steptest.WantError(t, err, "3 of 10 checks failed")
}

func TestOneOfTwoLinksIsEnough(t *testing.T) {
	got, _, _ := diagnose(t, diagnostic.Kind{}, `{"checks":[{"link":"none0"},{"link":"lo"},{"gateway":true,"within":"1s"}]}`)
	if state := got["gateway"].State; state == "skipped" || state == "" {
		t.Errorf("the gateway: got %q, want it looked at", state)
	}
}

func TestANameThatWasLookedUpStandsForItself(t *testing.T) {
	conf, mended := brokenDNS(t)
	if err := os.Rename(mended, conf); err != nil {
		t.Fatal(err)
	}
	got, _, _ := diagnose(t, diagnostic.Kind{Checker: asking(conf)}, `{"checks":[{"dns":"%s.example.com","name":"too long"},
		{"dns":"device.example.com","name":"right"},{"tcp":"Device.example.com:1","name":"of right"},{"tcp":"%[1]s.example.com:1","name":"of too long"}]}`, strings.Repeat("a", 64))
	wantState(t, got["right"], "ok", "")
	wantState(t, got["of right"], "failed", "connection refused")
	wantState(t, got["of too long"], "skipped", "depends on too long, which failed")
}

func TestUnknownChecksDoNotFailTheStep(t *testing.T) {
	got, _, err := diagnose(t, diagnostic.Kind{}, `{"checks":[{"broker":true},{"disk":"/no/such"}]}`)
	if err != nil {
		t.Errorf("got %v, want the step to succeed", err)
	}
	wantState(t, got["broker"], "unknown", "nothing here knows about the broker")
	wantState(t, got["disk /no/such"], "unknown", "no such file")
}

// TestTheResultFitsIntoAReport takes as many checks as there may be, with the
// longest reasons and names of characters that JSON writes with two.
func TestTheResultFitsIntoAReport(t *testing.T) {
	for _, c := range []struct {
		n    int
		name string
	}{{2, ""}, {32, ""}, {32, strings.Repeat(`\"`, 30)}} {
		var checks []string
		for i := range c.n {
			checks = append(checks, fmt.Sprintf(`{"name":"%02d%s","command":["sh","-c","printf '%%0400d<&>' 1; exit 1"]}`, i, c.name))
		}
		got, _, err := diagnose(t, diagnostic.Kind{}, `{"checks":[%s]}`, strings.Join(checks, ","))
		if len(got) != c.n || err == nil {
			t.Errorf("got %d checks, %v, want %d and a failure", len(got), err, c.n)
		}
	}
}

func TestAStopEndsADiagnosticBetweenItsChecks(t *testing.T) {
	flag := filepath.Join(t.TempDir(), "flag")
	a := steptest.NewAttempt(t, `{"checks":[{"link":"lo"},{"command":["touch",%q]}]}`, flag)
	close(a.Stop)
	if err := a.Run(t.Context(), diagnostic.Kind{}); err == nil {
		t.Error("got nil, want an error")
	}
	if _, err := os.Stat(flag); err == nil {
		t.Error("a check was made when the agent was stopping")
	}
}

func TestACancelledDiagnosticTellsWhatItHasFound(t *testing.T) {
	ctx, cancel := context.WithCancelCause(t.Context())
	defer cancel(nil)
	a := steptest.NewAttempt(t, `{"checks":[{"command":["sh","-c","sleep 60"],"name":"slow"},{"command":["true"],"name":"never"},{"link":"lo"}]}`)
	task := a.Next()
	k := diagnostic.Kind{Checker: check.Checker{Groups: process.Groups{Dir: filepath.Join(t.TempDir(), "groups"), Boot: "boot-1"}}}
	go func() {
		steptest.Eventually(t, "the command runs", func() bool {
			entries, _ := os.ReadDir(k.Checker.Groups.Dir)
			return len(entries) > 0
		})
		cancel(errors.New("cancelled"))
	}()
	if err := k.Run(ctx, task); err == nil || err.Error() != "cancelled" {
		t.Errorf("got %v, want cancelled", err)
	}
	if got := string(task.Result); !strings.Contains(got, `"name":"link lo","kind":"link","state":"ok"`) || strings.Contains(got, "never") {
		t.Errorf("got the result %s, want what was found and not what was not looked at", got)
	}
}

func TestDiagnosticRefuses(t *testing.T) {
	many := strings.TrimSuffix(strings.Repeat(`{"load":true},`, 33), ",")
	for with, want := range map[string]string{
		`{}`:                        "want checks, collect or both",
		`{"checks":[]}`:             "want checks, collect or both",
		`{"check":[]}`:              "check: unknown field",
		`{"checks":[{"dns":1}]}`:    "checks[0]: dns: want a string",
		`{"checks":[` + many + `]}`: "checks: 33 of them, want at most 32",
		`{"collect":{}}`:            "collect.to: want an absolute path",
		`{"collect":{"to":"x"}}`:    "collect.to: \"x\": want an absolute path",
		`{"collect":{"to":"/tmp/x","maxBytes":"1kB"}}`:       "collect.maxBytes: 1000: want 64KiB to 64MiB",
		`{"collect":{"to":"/tmp/x","files":["/etc/["]}}`:     "collect.files[0]: \"/etc/[\": want an absolute path",
		`{"collect":{"to":"/tmp/x","files":["etc/*"]}}`:      "collect.files[0]:",
		`{"collect":{"to":"/tmp/x","files":["/etc/../x"]}}`:  "collect.files[0]:",
		`{"collect":{"to":"/tmp/x","commands":[["ls"],[]]}}`: "collect.commands[1]: want a program",
		`{"collect":{"to":"/tmp/x","commands":["dmesg"]}}`:   "collect.commands",
		`{"collect":{"to":"/tmp/x","mode":"0644"}}`:          "collect.mode: unknown field",
	} {
		steptest.WantError(t, diagnostic.Kind{}.Check(json.RawMessage(with)), want)
	}
}
