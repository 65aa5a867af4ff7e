package intake

import (
	"fmt"
	"testing"
)

func TestOnlyALifeThatAURLCanHaveIsWaitedFor(t *testing.T) {
	for query, want := range map[string]string{
		"?X-Amz-Expires=3600&a=b": "3600", "?a=b&X-Amz-Expires=604800": "604800",
		"?X-Amz-Expires=0": "", "?X-Amz-Expires=99999999999999": "", "?x=1": "",
	} {
		got := ""
		if found := presigned.FindStringSubmatch(`{"url":"https://h/f` + query + `"}`); found != nil {
			got = found[1]
		}
		if got != want {
			t.Errorf("%s: got %q, want %q", query, got, want)
		}
	}
}

// A service may give each job that waits a long document again and again.
func TestDocumentsThatAreGivenAgainAreBounded(t *testing.T) {
	var r renewals
	for i := range 500 {
		r.came(fmt.Sprintf("j%d", i%300), make([]byte, 100_000))
	}
	held := 0
	for _, g := range r.given {
		held += len(g.text)
	}
	if held > 2<<20 {
		t.Errorf("%d bytes are held", held)
	}
	last := r.get("j199")
	if len(last.text) == 0 || last.at.IsZero() {
		t.Error("the newest is not among them")
	}
	if first := r.get("j200"); len(first.text) > 0 || !first.at.IsZero() {
		t.Error("the oldest is held, or counts as given: it would not be asked for again")
	}
	r.forget("j199")
	if r.came("j1", nil); r.held > held-100_000 {
		t.Errorf("%d bytes are held after one was forgotten", r.held)
	}
}
