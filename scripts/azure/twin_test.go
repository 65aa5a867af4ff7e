// Package azure holds what an operator of an Azure hub needs; here is its test.
package azure

import (
	"encoding/json"
	"os"
	"strings"
	"testing"

	"github.com/itchyny/gojq"

	"github.com/ratchetd/ratchet/agent/dialect"
	"github.com/ratchetd/ratchet/agent/dialect/azure"
)

// desired is what twin.jq makes of a text.
func desired(t *testing.T, text string) []byte {
	t.Helper()
	program, err := os.ReadFile("twin.jq")
	if err != nil {
		t.Fatal(err)
	}
	query, err := gojq.Parse(string(program))
	if err != nil {
		t.Fatal(err)
	}
	v, _ := query.Run(text).Next()
	if err, failed := v.(error); failed {
		t.Fatal(err)
	}
	out, err := json.Marshal(v)
	if err != nil {
		t.Fatal(err)
	}
	return out
}

func TestADeviceReadsTheTextThatWasPrinted(t *testing.T) {
	document := `{"id":"roll1","description":"` + strings.Repeat("ä𝄞", 3000) + `","steps":[{"name":"x","command":{"argv":["true"]}}]}`
	for _, e := range []dialect.Envelope{{Job: document}, {Job: document, Signature: "untrusted comment: x\ny\n"}} {
		twin, err := json.Marshal(map[string]any{"desired": map[string]any{"$version": 1, "jobs": jobsOf(t, desired(t, string(e.Payload())+"\n"))}})
		if err != nil {
			t.Fatal(err)
		}
		found := false
		for _, event := range (azure.Dialect{Device: "gw-7"}).Receive(dialect.Message{Topic: "$iothub/twin/res/200/?$rid=get", Payload: twin}) {
			if o, ok := event.(dialect.Offer); ok {
				found = o.ID == "roll1" && string(o.Text) == document && o.Signature == e.Signature && o.Err == nil
			}
		}
		if !found {
			t.Errorf("a document with signature %q is not read from %s", e.Signature, twin)
		}
	}
}

func jobsOf(t *testing.T, desired []byte) json.RawMessage {
	t.Helper()
	var d struct{ Jobs map[string]json.RawMessage }
	if err := json.Unmarshal(desired, &d); err != nil {
		t.Fatal(err)
	}
	for id, job := range d.Jobs {
		var pieces struct{ T map[string]string }
		if err := json.Unmarshal(job, &pieces); err != nil {
			t.Fatal(err)
		}
		for n, p := range pieces.T {
			if len(p) > 4<<10 {
				t.Errorf("%s: piece %s has %d bytes", id, n, len(p))
			}
		}
	}
	raw, err := json.Marshal(d.Jobs)
	if err != nil {
		t.Fatal(err)
	}
	return raw
}
