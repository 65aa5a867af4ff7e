package report

import (
	"errors"
	"fmt"
	"log/slog"
	"strings"
	"testing"

	"github.com/ratchetd/ratchet/agent/config"
	"github.com/ratchetd/ratchet/agent/dialect"
	"github.com/ratchetd/ratchet/agent/link"
	"github.com/ratchetd/ratchet/executor"
	"github.com/ratchetd/ratchet/store"
)

func TestLiveOutputThatWaitsIsBounded(t *testing.T) {
	r := New()
	text := strings.Repeat("x", 32<<10)
	for range 1000 {
		r.Live(executor.Live{Key: "j", Stream: "stdout", Text: strings.Clone(text)})
	}
	total := 0
	for _, l := range r.lines {
		total += len(l.Text)
	}
	if total > 1<<20 {
		t.Errorf("%d bytes of live output wait while offline", total)
	}
}

func TestRefusalsThatNobodyTakesAreBounded(t *testing.T) {
	told := New()
	var c config.Current
	c.Store(&config.Config{Link: config.Link{Dialect: "azure"}})
	told.Config = &c
	for i := range 3 * 256 {
		told.Refuse(executor.Record{Key: fmt.Sprint("j", i), Digest: "d"})
	}
	told.Refuse(executor.Record{Key: "j0", Digest: "mended"})
	if n := len(told.refusals()); n != 256 || told.receipts.refused["j0"].Digest != "mended" {
		t.Errorf("got %d refusals, j0 is %+v; want %d, with the newest word", n, told.receipts.refused["j0"], 256)
	}
}

func TestNoticesThatNobodyTakesAreBounded(t *testing.T) {
	r := New()
	for i := range 3 * maxNotices {
		r.Say(Notice{ID: fmt.Sprint("j", i)})
	}
	if n := len(r.notices); n != maxNotices || r.notices[n-1].ID != fmt.Sprint("j", 3*maxNotices-1) {
		t.Errorf("got %d notices, the last of %s; want the newest %d", n, r.notices[n-1].ID, maxNotices)
	}
}

// serviced is a Reporter to a service, with a journal that knows no job.
func serviced(t *testing.T) *Reporter {
	t.Helper()
	r := New()
	r.Log = slog.New(slog.DiscardHandler)
	r.Config = new(config.Current)
	r.Config.Store(&config.Config{Link: config.Link{Dialect: "aws"}})
	r.Raise = func(name, _, why string) { t.Errorf("raised %s: %s", name, why) }
	var err error
	if r.DB, err = store.Open(t.TempDir(), store.Options{Log: r.Log}); err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { r.DB.Close() })
	return r
}

// A service may answer for jobs that never were, as often as it likes.
func TestReceiptsOfUnknownJobsAreNotKept(t *testing.T) {
	r := serviced(t)
	for i := range 100 {
		key := fmt.Sprintf("aws/j%d/1/1", i)
		r.Receipt(dialect.Receipt{Key: key, Part: true})
		for range 2 {
			r.Receipt(dialect.Receipt{Key: key, Rev: 1, Err: errors.New("no")})
		}
		r.Receipt(dialect.Receipt{Key: key, Rev: 1})
		r.Closed(dialect.Closed{Key: key, Reason: "it is over"})
	}
	k := r.receipts
	if n := len(k.waits) + len(k.taken) + len(k.bare) + len(k.closed) + len(k.refused); n > 0 {
		t.Errorf("%d of them are kept", n)
	}
}

// A refusal whose offer is gone before the service has answered is due no more: the
// Reporter woke at once for it, again and again.
func TestARefusalThatIsWithdrawnIsNotDue(t *testing.T) {
	for _, withdraw := range []func(*Reporter){
		func(r *Reporter) { r.Withdraw("j") },
		func(r *Reporter) { r.close("j", "closed by service") },
	} {
		r := serviced(t)
		r.Refuse(executor.Record{Key: "j", ID: "j", Digest: "d"})
		r.mayTell("j")
		w := r.receipts.waits["j"]
		w.again = w.again.Add(-2 * link.AnswerMax)
		r.receipts.waits["j"] = w
		withdraw(r)
		if err := r.tellService(t.Context(), nil, nil); err != nil {
			t.Fatal(err)
		}
		if r.overdue() != nil {
			t.Error("it is due")
		}
	}
}
