package draft_test

import (
	"encoding/json"
	"path/filepath"
	"strings"
	"testing"
	"time"

	"github.com/ratchetd/ratchet/agent/dialect"
	"github.com/ratchetd/ratchet/cmd/ratchet/internal/draft"
	"github.com/ratchetd/ratchet/cmd/ratchet/internal/fleet"
	"github.com/ratchetd/ratchet/cmd/ratchet/internal/signing"
	"github.com/ratchetd/ratchet/executor"
)

const oneStep = `"steps":[{"name":"s","command":{"argv":["true"]}}]`

func read(t *testing.T, text string) draft.Draft {
	t.Helper()
	d, err := draft.Read("-", "", strings.NewReader(text))
	if err != nil {
		t.Fatal(err)
	}
	return d
}

func newKey(t *testing.T) *signing.Key {
	t.Helper()
	file := filepath.Join(t.TempDir(), "jobs.key")
	if _, _, err := signing.Create(file, true); err != nil {
		t.Fatal(err)
	}
	key, err := signing.Open(file)
	if err != nil {
		t.Fatal(err)
	}
	return key
}

func parse(t *testing.T, e dialect.Envelope) executor.Job {
	t.Helper()
	job, err := executor.Parse([]byte(e.Job))
	if err != nil {
		t.Fatal(err)
	}
	return job
}

func TestOnlyWhatTheAuthorLeftOutIsWritten(t *testing.T) {
	key := newKey(t)
	for _, c := range []struct {
		name, text string
		key        *signing.Key
		want       string // with the times that are written as NOW and END
	}{
		{"all is left out", `{"id":"j",` + oneStep + `}`, nil, `{"id":"j","created":"NOW","expires":"END",` + oneStep + `}`},
		{"and signed", `{"id":"j",` + oneStep + `}`, key, `{"id":"j","created":"NOW","expires":"END","audience":["all"],` + oneStep + `}`},
		{"an end is given", `{"id":"j","expires":"2099-01-01T00:00:00Z",` + oneStep + `}`, nil,
			`{"id":"j","created":"NOW","expires":"2099-01-01T00:00:00Z",` + oneStep + `}`},
		{"a recurring job", `{"id":"j","schedule":"0 3 * * 0",` + oneStep + `}`, nil, `{"id":"j","created":"NOW","schedule":"0 3 * * 0",` + oneStep + `}`},
		{"nothing is left out", ` {"id":"j", "created":"2026-01-01T00:00:00Z","expires":"2099-01-01T00:00:00Z",` + oneStep + `}`, nil,
			` {"id":"j", "created":"2026-01-01T00:00:00Z","expires":"2099-01-01T00:00:00Z",` + oneStep + `}`},
	} {
		e, err := read(t, c.text).Seal(draft.Terms{To: []string{"all"}, Key: c.key}, nil)
		if err != nil {
			t.Errorf("%s: %v", c.name, err)
			continue
		}
		job := parse(t, e)
		got := strings.NewReplacer(job.Created.Format(time.RFC3339), "NOW", job.Expires.Format(time.RFC3339), "END").Replace(e.Job)
		want := strings.NewReplacer("2026-01-01T00:00:00Z", "NOW", "2099-01-01T00:00:00Z", "END").Replace(c.want)
		if got != want {
			t.Errorf("%s: got %s, want %s", c.name, got, want)
		}
		if signed := c.key.Signed([]byte(e.Job), e.Signature); signed != (c.key != nil) {
			t.Errorf("%s: signed is %v", c.name, signed)
		}
	}
}

// A second submit of a file is the same job, not another one under its id.
func TestTheSameFileAgainIsTheSameText(t *testing.T) {
	d := read(t, `{"id":"j",`+oneStep+`}`)
	first, err := d.Seal(draft.Terms{To: []string{"all"}}, nil)
	if err != nil {
		t.Fatal(err)
	}
	earlier := map[string]fleet.Offer{"all": fleet.ReadOffer(first.Payload())}
	share := 10.0
	again, err := d.Seal(draft.Terms{To: []string{"group/g"}, Percent: &share}, earlier)
	if err != nil || again.Job != first.Job || again.Rollout == nil || again.Rollout.Percent != 10 {
		t.Errorf("got %+v, %v, want the text of %s for a tenth", again, err, first.Job)
	}
	other := read(t, `{"id":"j","description":"another",`+oneStep+`}`)
	if _, err := other.Seal(draft.Terms{To: []string{"all"}}, earlier); err == nil || !strings.Contains(err.Error(), "another document is offered as j (all)") {
		t.Errorf("got %v, want that the id is in use", err)
	}
	if e, err := other.Seal(draft.Terms{To: []string{"all"}, Force: true}, earlier); err != nil || parse(t, e).Description != "another" {
		t.Errorf("got %+v, %v, want the other document by force", e, err)
	}
}

func TestAKeyVouchesForWhatItSigned(t *testing.T) {
	key, stranger := newKey(t), newKey(t)
	offer := func(key *signing.Key) fleet.Offer {
		e, err := read(t, `{"id":"j",`+oneStep+`}`).Seal(draft.Terms{To: []string{"group/g"}, Key: key}, nil)
		if err != nil {
			t.Fatal(err)
		}
		return fleet.ReadOffer(e.Payload())
	}
	cancel := func(key *signing.Key) fleet.Offer {
		text, err := draft.Cancel("j", []string{"group/g"}, key)
		if err != nil {
			t.Fatal(err)
		}
		return fleet.ReadOffer(text)
	}
	expired := func() fleet.Offer {
		text, _ := json.Marshal(dialect.CancelText{ID: "j", Cancel: true, Audience: []string{"group/g"}, Expires: executor.Time{Time: time.Unix(1, 0).UTC()}})
		return fleet.ReadOffer(dialect.Envelope{Job: string(text), Signature: key.Sign(text, "j")}.Payload())
	}
	for _, c := range []struct {
		name               string
		o                  fleet.Offer
		job, to            string
		vouched, cancelled bool
	}{
		{"its job", offer(key), "j", "group/g", true, false},
		{"its job under another id", offer(key), "k", "group/g", false, false},
		{"its job for others", offer(key), "j", "all", false, false},
		{"a stranger's job", offer(stranger), "j", "group/g", false, false},
		{"a job that nobody signed", offer(nil), "j", "group/g", false, false},
		{"its cancel", cancel(key), "j", "group/g", true, true},
		{"its cancel for others", cancel(key), "j", "all", false, false},
		{"a stranger's cancel", cancel(stranger), "j", "group/g", false, false},
		{"a cancel that nobody signed", cancel(nil), "j", "group/g", false, false},
		{"its cancel that has expired", expired(), "j", "group/g", true, false},
		{"nothing", fleet.Offer{}, "j", "group/g", false, false},
	} {
		if got := draft.Vouched(c.o, c.job, c.to, key); got != c.vouched {
			t.Errorf("%s: vouched is %v, want %v", c.name, got, c.vouched)
		}
		if got := draft.Cancelled(c.o, c.job, c.to, key); got != c.cancelled {
			t.Errorf("%s: cancelled is %v, want %v", c.name, got, c.cancelled)
		}
	}
	if !draft.Cancelled(cancel(nil), "j", "all", nil) {
		t.Error("without a key an unsigned cancel is none")
	}
}
