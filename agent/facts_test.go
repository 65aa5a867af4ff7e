package agent

import (
	"os"
	"path/filepath"
	"strings"
	"testing"

	"github.com/ratchetd/ratchet/executor"
)

// A device tells what its owner adds, what is installed on it, and what
// changed of both; an offer that asks for it is judged by what is true then.
func TestTheOwnersFactsDecideWhoseJobItIs(t *testing.T) {
	b := newBroker(t)
	d := newDevice(t, b, "")
	if err := os.Mkdir(filepath.Join(d.dir, "facts.d"), 0o755); err != nil {
		t.Fatal(err)
	}
	d.write("facts.d/rack.json", `{"row": 3}`)
	d.start().online(b)
	b.await("ratchet/v1/device/gw-1/facts", func(p string) bool { return strings.Contains(p, `"custom":{"rack":{"row":3}}`) })
	file := filepath.Join(d.dir, "ran")
	j := doc("j1", file, "a")
	j["target"] = `.custom.rack.row == 4`
	b.offer("all", j)
	b.offer("all", doc("j2", file, "b"))
	b.final("j2")
	d.write("facts.d/rack.json", `{"row": 4}`)
	d.facts.Custom.Refresh(t.Context())
	await(t, "the job whose target is true now", func() bool { // once what was read before is old
		events{d.Agent}.factsChanged()
		return read(t, file) == "b a"
	})
	wantState(t, b.final("j1"), executor.Succeeded)
	if got := read(t, file); got != "b a" {
		t.Errorf("ran %q, want b, and a once its target was true", got)
	}
}
