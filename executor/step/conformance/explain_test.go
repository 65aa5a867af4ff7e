package conformance_test

import (
	"strings"
	"testing"

	"github.com/ratchetd/ratchet/executor"
	"github.com/ratchetd/ratchet/executor/step"
	"github.com/ratchetd/ratchet/executor/step/certificate"
)

func TestExplainTellsOfATrialThatNobodyAskedFor(t *testing.T) {
	kinds := executor.Kinds{"settings": step.Settings{}, "keys": step.Keys{}, "certificate": certificate.Kind{}, "file": step.File{}}
	const connected = "on trial   within 3m the device must be connected again"
	for step, want := range map[string]string{
		`"settings":{"name":"tags","content":""}`: connected + ", else it is taken back",
		`"keys":{"set":["RWQ"],"sequence":1}`:     connected + " and have accepted a job that one of the new keys signed, else it is taken back",
		`"certificate":{"install":{}}`:            connected + ", else it is taken back",
		`"certificate":{"request":{}}`:            "",
		`"file":{}`:                               "",
	} {
		j, err := executor.Parse([]byte(`{"id":"j","steps":[{"name":"a",` + step + `}]}`))
		if err != nil {
			t.Fatal(err)
		}
		got := strings.Join(executor.Explain(kinds, j), "\n")
		if !strings.Contains(got, want) || want == "" && strings.Contains(got, "on trial") {
			t.Errorf("%s: want %q in\n%s", step, want, got)
		}
	}
}
