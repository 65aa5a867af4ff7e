package dialect

import (
	"fmt"
	"strings"
	"testing"
	"unicode/utf8"

	"github.com/ratchetd/ratchet/executor"
)

func TestAnEnvelopeKeepsTheTextToTheByte(t *testing.T) {
	share := &executor.Rollout{Percent: 0}
	for _, text := range []string{"{}", "{\n  \"id\" : \"a\"\r\n}\t", `{"id":"<&>\u2028"}`, "{\"a\":\"\u2028 🔧 \\\"\"}", "no JSON at all"} {
		for _, e := range []Envelope{{Job: text}, {Job: text, Signature: "comment\nRUQ\n"}, {Job: text, Rollout: share}} {
			got, err := OpenEnvelope(e.Payload())
			if err != nil || got.Job != text || got.Signature != e.Signature || (got.Rollout == nil) != (e.Rollout == nil) {
				t.Errorf("%q: got %+v (%v), want %+v", text, got, err, e)
			}
		}
	}
}

func TestOnlyTextsBeyondTheLimitAreRefusedForTheirSize(t *testing.T) {
	document := func(n int, fill string) string {
		frame := `{"id":"wifi","description":"","steps":[{"name":"a","reboot":{}}]}`
		return strings.Replace(frame, `""`, `"`+strings.Repeat(fill, (n-len(frame))/len(fill))+`"`, 1)
	}
	signed := func(text string) []byte { return Envelope{Job: text, Signature: "RUQ"}.Payload() }
	quotes := document(executor.MaxDocument, `\"`)
	for _, c := range []struct {
		name    string
		payload []byte
		want    string
	}{
		{"bare", []byte(document(executor.MaxDocument, "x")), ""},
		{"bare and too long", []byte(document(executor.MaxDocument+1, "x")), "the document has 131073 bytes: at most 131072 are taken"},
		{"signed", signed(document(executor.MaxDocument, "x")), ""},
		{"signed and every byte escaped", signed(quotes), ""},
		{"signed and too long", signed(document(executor.MaxDocument+1, "x")), "the document has 131073 bytes: at most 131072 are taken"},
		{"beyond any payload", signed(strings.Repeat("x", MaxPayload)), "the payload has "},
	} {
		o, ok := ReadOffer("wifi", "all", c.payload).(Offer)
		if !ok || o.ID != "wifi" {
			t.Fatalf("%s: got %+v, want an offer of wifi", c.name, o)
		}
		if c.want == "" && o.Err == nil {
			_, o.Err = executor.Parse(o.Text)
		}
		if got := fmt.Sprint(o.Err); !strings.HasPrefix(got, c.want) || (c.want == "") != (o.Err == nil) {
			t.Errorf("%s: got %s, want %q", c.name, got, c.want)
		}
	}
}

// FuzzEnvelope holds that what an envelope says is what its author wrote: a
// payload that is read gives the same when it is written again, and no text
// comes out of it that is not in it.
func FuzzEnvelope(f *testing.F) {
	for _, payload := range []string{
		`{"job":"{\"id\":\"a\"}","signature":"untrusted comment: x\nRUQ\n","rollout":{"percent":5}}`,
		`{"job":"{}","rollout":{"percent":101}}`, `{"job":"{}","job":"[]"}`, `{"Job":"{}"}`, `{"job":null}`, `{"id":"a"}`, "\xff", `{"job":"\ud800"}`,
	} {
		f.Add([]byte(payload))
	}
	f.Fuzz(func(t *testing.T, payload []byte) {
		e, err := OpenEnvelope(payload)
		if err != nil {
			return
		}
		if e.Signature == "" && e.Rollout == nil && e.Job != string(payload) && Members(payload)["job"] == nil {
			t.Errorf("the bare text %q became %q", payload, e.Job)
		}
		if !utf8.ValidString(e.Job) {
			return // it is no document
		}
		again, err := OpenEnvelope(e.Payload())
		if _, nested := stringOf(Members([]byte(e.Job))["job"]); nested && e.Signature == "" && e.Rollout == nil {
			return // written again it is bare, and an envelope of its own
		}
		if err != nil || again.Job != e.Job || again.Signature != e.Signature || (again.Rollout == nil) != (e.Rollout == nil) {
			t.Errorf("%q gives %+v, then %+v (%v)", payload, e, again, err)
		}
	})
}
