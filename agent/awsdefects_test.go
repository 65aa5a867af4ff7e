package agent

import (
	"fmt"
	"os"
	"path/filepath"
	"strings"
	"testing"

	"github.com/ratchetd/ratchet/scripts/fakeaws/jobs"
)

// A defect is one of AWS's reference client that a document brings out: what
// that client tells, and what is to be told.
type defect struct {
	name, reference string
	step            string // of schema 1.0: the shell's script, and more fields of the action
	fields, top     string
	status, reason  string
	stdout          string
}

var defects = []defect{
	{name: "D1 death by a signal", reference: "SUCCEEDED", step: "kill -9 $$", status: "FAILED", reason: "killed by SIGKILL"},
	{name: "D2 the reason of exit code 1", reference: "killed by signal: 1", step: "exit 1", status: "FAILED", reason: "exit status 1"},
	{name: "D3 200 kB on stderr", reference: "hangs for ever", step: "head -c 200000 /dev/zero >&2; echo end", status: "SUCCEEDED"},
	{name: "D4 2000 lines of output", reference: "killed, and SUCCEEDED", step: "seq 2000 && touch FILE", status: "SUCCEEDED", stdout: "2000", top: `"includeStdOut":"true",`},
	{name: "D5 allowStdErr and exit code 1", reference: "SUCCEEDED", step: "exit 1", fields: `,"allowStdErr":1`, status: "FAILED", reason: "exit status 1"},
	{name: "D5 more lines than allowStdErr", reference: "SUCCEEDED", step: "echo 1 >&2; echo 2 >&2", fields: `,"allowStdErr":1`, status: "FAILED", reason: "2 lines on stderr: at most 1 are taken"},
	{name: "D6 includeStdOut as a boolean", reference: "no stdout", step: "echo hello", top: `"includeStdOut":true,`, status: "SUCCEEDED", stdout: "hello"},
}

func (c defect) document(file string) string {
	return fmt.Sprintf(`{"version":"1.0",%s"steps":[{"action":{"name":"step","type":"runCommand","input":{"command":"sh,-c,%s"}%s}}]}`,
		c.top, strings.ReplaceAll(c.step, "FILE", file), c.fields)
}

// TestNoneOfTheReferenceClientsDefects writes the table of them.
func TestNoneOfTheReferenceClientsDefects(t *testing.T) {
	t.Parallel()
	rows := make([]string, len(defects)+4)
	t.Run("cases", func(t *testing.T) {
		for i, c := range defects {
			t.Run(c.name, func(t *testing.T) {
				s, d := newAWS(t, "")
				d.start()
				file := filepath.Join(d.dir, "done")
				create(t, s, "job", c.document(file))
				e := ends(t, s, "job")
				if e.Status != c.status || !strings.Contains(e.Details["reason"], c.reason) || !strings.HasSuffix(e.Details["stdout"], c.stdout) {
					t.Errorf("got %s (%s), stdout %q", e.Status, e.Details["reason"], e.Details["stdout"])
				}
				if e.Details["stdout"] != "" {
					e.Status += ", and its output is told"
				}
				if _, err := os.Stat(file); strings.Contains(c.step, "FILE") && err != nil {
					t.Errorf("got the command cut short: %v", err)
				}
				rows[i] = defectRow(c.name, c.reference, e.Status+" "+strings.TrimPrefix(e.Details["reason"], "step step: "))
			})
		}
		t.Run("D7", func(t *testing.T) { rows[len(defects)] = deliveredTwice(t) })
		t.Run("D8", func(t *testing.T) { rows[len(defects)+1] = cancelledWhileItRan(t) })
		t.Run("D9", func(t *testing.T) { rows[len(defects)+2] = subscriptionsDenied(t) })
		t.Run("D10", func(t *testing.T) { rows[len(defects)+3] = oneAtATime(t) })
	})
	golden(t, "testdata/aws-defects.md", "| defect | reference client | ours |\n|---|---|---|\n"+strings.Join(rows, ""))
}

func defectRow(name, reference, ours string) string {
	return fmt.Sprintf("| %s | %s | %s |\n", name, reference, strings.TrimSpace(ours))
}

// deliveredTwice is D7: the reference client knows the last job only, and only while
// it lives.
func deliveredTwice(t *testing.T) string {
	s, d := newAWS(t, "")
	d.start()
	file := filepath.Join(d.dir, "out")
	create(t, s, "a", native(t, file, "a"))
	ends(t, s, "a")
	s.SetFate(func(topic string) jobs.Fate { return jobs.Fate{Lost: strings.HasSuffix(topic, "b/update")} })
	create(t, s, "b", native(t, file, "b"))
	await(t, "the job is over", func() bool { return d.lastRecord("b").State.Final() })
	d.stop()
	s.SetFate(nil)
	d.start()
	ends(t, s, "b")
	if got := read(t, file); got != "a b" {
		t.Errorf("got %q, want each once", got)
	}
	return defectRow("D7 a job that is delivered again after a restart", "runs again", "runs once, its outcome is told again")
}

// cancelledWhileItRan is D8.
func cancelledWhileItRan(t *testing.T) string {
	s, d := newAWS(t, "")
	d.start()
	file := filepath.Join(d.dir, "out")
	create(t, s, "job", long(file))
	await(t, "it runs", func() bool { return read(t, file) == "begun" })
	s.Cancel("job", true)
	await(t, "it is over", func() bool { return d.lastRecord("job").State.Final() })
	r := d.lastRecord("job")
	return defectRow("D8 a forced cancel of a job that runs", "it goes on", string(r.State)+": "+strings.Join(strings.Split(r.Reason, ":")[:1], ""))
}

// subscriptionsDenied is D9: what is denied costs only itself.
func subscriptionsDenied(t *testing.T) string {
	s, d := newAWS(t, "")
	s.Deny = func(topic string, publish bool) bool { return !publish && strings.Contains(topic, "/update/") }
	d.start()
	create(t, s, "job", `{"steps":[{"name":"a","command":{"argv":["true"]}}]}`)
	e := ends(t, s, "job")
	if e.Status != "SUCCEEDED" {
		t.Errorf("got %s, want SUCCEEDED", e.Status)
	}
	return defectRow("D9 a subscription that is denied", "a debug build ends", e.Status+", with a warning in the log")
}

// oneAtATime is D10: a job that comes while one runs waits for its end.
func oneAtATime(t *testing.T) string {
	s, d := newAWS(t, "")
	d.start()
	file := filepath.Join(d.dir, "out")
	create(t, s, "first", long(file))
	await(t, "it runs", func() bool { return read(t, file) == "begun" })
	create(t, s, "second", native(t, file, "second"))
	s.Drop("gw-1", "test") // what is in progress is delivered again
	await(t, "it is connected again", func() bool { return s.Connects("gw-1") > 1 })
	if err := os.WriteFile(file+".go", nil, 0o600); err != nil {
		t.Fatal(err)
	}
	ends(t, s, "second")
	if got := read(t, file); got != "begun done second" {
		t.Errorf("got %q, want one after the other", got)
	}
	return defectRow("D10 a second job while one runs", "both at once", "one after the other, in the queue's order")
}
