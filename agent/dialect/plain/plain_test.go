package plain

import (
	"strings"
	"testing"

	"github.com/ratchetd/ratchet/agent/dialect"
)

func TestIDsTooLongToAnswerAreNothing(t *testing.T) {
	for n, want := range map[int]bool{dialect.MaxName: true, dialect.MaxName + 1: false} {
		got := Dialect{Root: "r", Device: "gw-1"}.Receive(dialect.Message{Topic: "r/jobs/all/" + strings.Repeat("a", n), Payload: []byte("{}")})
		if (got != nil) != want {
			t.Errorf("an id of %d bytes: got %+v", n, got)
		}
	}
}
