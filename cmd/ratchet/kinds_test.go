package main

import (
	"strings"
	"testing"

	"github.com/ratchetd/ratchet/agent"
	"github.com/ratchetd/ratchet/executor"
)

// Whatever kind an agent can run, validate knows its parameters: none takes a
// field that no kind has.
func TestValidateJudgesEveryKind(t *testing.T) {
	for kind := range agent.Kinds() {
		text := `{"id":"x","steps":[{"name":"a","` + kind + `":{"noSuchField":1}}]}`
		found := findProblems([]byte(text))
		if len(found) != 1 || !strings.Contains(found[0].Error(), "noSuchField: unknown field") {
			t.Errorf("%s: got %v, want that it has no such field", kind, found)
		}
	}
}

func TestValidateReadsSettings(t *testing.T) {
	for content, want := range map[string]string{
		`[link]\nspread = \"10s\"`: "",
		`[link]\nbrokr = \"x\"`:    "net.toml:2: link.brokr: unknown key",
		`[policy]\nallow = []`:     "policy: it may stand in ratchet.toml only",
	} {
		job, err := executor.Parse([]byte(`{"id":"x","steps":[{"name":"a","settings":{"name":"net","content":"` + content + `"}}]}`))
		if err != nil {
			t.Fatal(err)
		}
		err = checkKinds(job)
		if want == "" && err != nil || want != "" && (err == nil || !strings.Contains(err.Error(), want)) {
			t.Errorf("%s: got %v, want %q", content, err, want)
		}
	}
}
