package link

import (
	"testing"

	"github.com/ratchetd/ratchet/agent/dialect"
)

func TestOnlyNewsOfTheTwinCounts(t *testing.T) {
	d := newTwinVersion()
	for i, step := range []struct {
		number       uint64
		whole        bool
		takes, stale bool
	}{
		{5, true, true, false},
		{5, false, false, false}, // it is in the whole
		{4, false, false, false}, // late
		{6, false, true, false},
		{6, false, false, false}, // twice
		{8, false, true, true},   // the one before it did not come
		{7, true, false, true},   // overtaken: it may lack what the change brought
		{8, true, true, false},
		{9, true, true, false},
	} {
		takes := d.isNews(dialect.Edition{Number: step.number, Whole: step.whole})
		stale := len(d.stale) > 0
		if stale {
			<-d.stale
		}
		if takes != step.takes || stale != step.stale {
			t.Errorf("%d: edition %d, whole %v: taken %v, asks again %v; want %v and %v", i, step.number, step.whole, takes, stale, step.takes, step.stale)
		}
	}
}
