package agent

import (
	"bytes"
	"flag"
	"fmt"
	"os"
	"path/filepath"
	"regexp"
	"slices"
	"strings"
	"sync"
	"testing"
	"time"

	"aead.dev/minisign"

	"github.com/ratchetd/ratchet/agent/dialect"
	"github.com/ratchetd/ratchet/executor"
)

var rewrite = flag.Bool("update", false, "write testdata/attacks.txt again")

// An attack is what somebody tries who owns the broker, or a user of the
// device, but none of the owner's keys. try tells what came of it.
type attack struct {
	name string
	try  func(f *fort) string
}

// TestNoAttackGetsThrough tries them all, each against a device of its own, and
// checks what came of them against testdata/attacks.txt.
func TestNoAttackGetsThrough(t *testing.T) {
	t.Parallel()
	const table = "testdata/attacks.txt"
	want, err := os.ReadFile(table)
	if err != nil && !*rewrite {
		t.Fatal(err)
	}
	var mu sync.Mutex
	came := map[string]string{}
	attacks := slices.Concat(attacksOnSignatures, attacksByReplay, attacksByCancel, attacksByTime, attacksOnIDs, attacksByFlood, attacksOnTheConfiguration, attacksOnThePolicy, attacksOnTheDevice, attacksOnTimeAndRoom, attacksByBrokers)
	t.Run("attacks", func(t *testing.T) {
		for _, a := range attacks {
			t.Run(a.name, func(t *testing.T) {
				got := a.try(newFort(t))
				mu.Lock()
				defer mu.Unlock()
				came[a.name] = plainWords.Replace(keyName.ReplaceAllString(got, "KEY"))
			})
		}
	})
	var rows strings.Builder
	for _, a := range attacks {
		if got, tried := came[a.name]; tried && !t.Failed() { // -run may have chosen some, or one may need root
			fmt.Fprintf(&rows, "%-58s | %s\n", a.name, got)
		} else if line := lineOf(want, a.name); line != "" {
			rows.WriteString(line + "\n")
		}
	}
	if *rewrite && !t.Failed() {
		if err := os.WriteFile(table, []byte(rows.String()), 0o644); err != nil {
			t.Error(err)
		}
	} else if rows.String() != string(want) {
		t.Errorf("got\n%swant\n%s", rows.String(), want)
	}
	t.Logf("\n%s", rows.String())
}

var (
	keyName    = regexp.MustCompile(`\b[0-9A-F]{16}\b`)
	plainWords = strings.NewReplacer("\n", " ")
)

// lineOf is the row of an attack in a table; empty if there is none.
func lineOf(table []byte, name string) string {
	for line := range strings.Lines(string(table)) {
		if had, _, _ := strings.Cut(line, "|"); strings.TrimSpace(had) == name {
			return strings.TrimSuffix(line, "\n")
		}
	}
	return ""
}

// A fort is a device that obeys two keys, at a broker that obeys anybody.
type fort struct {
	*testing.T
	*device
	b           *broker
	first, next minisign.PrivateKey // the owner's
	other       minisign.PrivateKey // the attacker's
	canary      string              // the file in which steps say that they ran
	files       string              // a folder for what steps write
	probes      int
}

// newFort is one that is online.
func newFort(t *testing.T) *fort {
	b := newBroker(t)
	f := &fort{T: t, b: b}
	first, next := newSigner(t), newSigner(t)
	f.first, f.next, f.other = first.private, next.private, newSigner(t).private
	f.device = newDevice(t, b, `vars = {option = "-rf", crlf = "http://127.0.0.1:9/x HTTP/1.1\r\nX-Evil: yes", newline = "a\r\nX-Evil: yes"}`)
	f.files = t.TempDir()
	f.canary = filepath.Join(f.files, "ran")
	config := strings.TrimSpace(readAll(t, filepath.Join(f.dir, "ratchet.toml")))
	f.write("ratchet.toml", fmt.Sprintf("%s\n[policy]\nkeys = [%q, %q]\n", config, first.key, next.key))
	f.start().online(b)
	return f
}

// good is a document that this device runs when the owner signed it; changes
// are members that it has otherwise, nil for one that is missing.
func (f *fort) good(id string, changes ...any) string {
	d := doc(id, f.canary, id)
	d["created"], d["expires"], d["audience"] = "2026-11-23T09:00:00Z", "2099-01-01T00:00:00Z", []string{"device/gw-1"}
	return mustJSON(f, changed(d, changes))
}

// changed is d with members replaced, or taken away by nil; changes are names and
// values in turn.
func changed(d map[string]any, changes []any) map[string]any {
	for i := 0; i < len(changes); i += 2 {
		d[changes[i].(string)] = changes[i+1]
		if changes[i+1] == nil {
			delete(d, changes[i].(string))
		}
	}
	return d
}

// cancelling is a text that cancels a job on this device, when the owner signed
// it; changes are as good's.
func (f *fort) cancelling(id string, changes ...any) string {
	d := map[string]any{"id": id, "cancel": true, "expires": "2099-01-01T00:00:00Z", "audience": []string{"device/gw-1"}}
	return mustJSON(f, changed(d, changes))
}

// signed is the payload of a text that a key has signed, as minisign does.
func signed(key minisign.PrivateKey, text string) string {
	return string(dialect.Envelope{Job: text, Signature: signature(key, text, time.Now())}.Payload())
}

// signature is that of a key over a text, as minisign makes it at that time.
func signature(key minisign.PrivateKey, text string, at time.Time) string {
	r := minisign.NewReader(strings.NewReader(text))
	_, _ = new(bytes.Buffer).ReadFrom(r)
	return string(r.SignWithComments(key, fmt.Sprintf("timestamp:%d\tfile:job\thashed", at.Unix()), "signature"))
}

// send offers a payload under an id and tells how it ended.
func (f *fort) send(id, payload string) string {
	f.Helper()
	f.b.retain("ratchet/v1/jobs/device/gw-1/"+id, payload)
	return f.end(id)
}

// end is how a job ended: its state and, behind a colon, why.
func (f *fort) end(id string) string {
	f.Helper()
	s := f.b.final(id)
	return strings.TrimSuffix(string(s.State)+": "+s.Reason, ": ")
}

// wantRuns fails unless just these jobs have run, each once, in order, when a
// good one is done that comes after all else.
func (f *fort) wantRuns(want ...string) {
	f.Helper()
	f.probes++
	probe := fmt.Sprintf("probe%d", f.probes)
	f.b.retain("ratchet/v1/jobs/all/"+probe, signed(f.first, f.good(probe)))
	if got := f.end(probe); got != string(executor.Succeeded) {
		f.Errorf("a good job afterwards: got %s", got)
	}
	ran := slices.DeleteFunc(strings.Fields(read(f.T, f.canary)), func(id string) bool { return strings.HasPrefix(id, "probe") })
	if !slices.Equal(ran, want) {
		f.Errorf("ran %q, want %q", ran, want)
	}
}

// judged is what the agent makes of a payload that came for an id, short of
// accepting it.
func (f *fort) judged(id string, payload []byte) (executor.Record, error) {
	events := f.config.Load().Dialect().Receive(dialect.Message{Topic: "ratchet/v1/jobs/device/gw-1/" + id, Payload: payload})
	if len(events) != 1 {
		return executor.Record{}, fmt.Errorf("%d events", len(events))
	}
	o, ok := events[0].(dialect.Offer)
	if !ok {
		return executor.Record{}, fmt.Errorf("no offer, but %T", events[0])
	}
	return f.intake.Decide(f.Context(), o)
}
