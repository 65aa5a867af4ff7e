package report

import (
	"fmt"
	"strings"
	"testing"

	"github.com/ratchetd/ratchet/agent/config"
	"github.com/ratchetd/ratchet/executor"
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
