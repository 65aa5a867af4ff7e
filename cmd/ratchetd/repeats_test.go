package main

import (
	"bytes"
	"log/slog"
	"strings"
	"sync"
	"testing"
	"testing/synctest"
	"time"
)

// A flood of warnings is a few lines and a count, for each kind; what is less
// than a warning is logged as it comes.
func TestWarningsOfOneKindAreCounted(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		var to lockedBuffer // the count is written when its time has come
		log := slog.New(withoutRepeats(slog.NewTextHandler(&to, nil)))
		lines := func(part string) int { return strings.Count(to.String(), part) }
		for range 5000 {
			log.With("job", "j").Warn("a cancel was refused")
			log.Info("as it comes")
		}
		log.Error("another kind")
		if got := lines("a cancel was refused"); got != repeatsMost {
			t.Errorf("got %d lines, want %d", got, repeatsMost)
		}
		if lines("as it comes") != 5000 || lines("another kind") != 1 {
			t.Errorf("got %d and %d lines of the rest", lines("as it comes"), lines("another kind"))
		}
		time.Sleep(repeatsIn + time.Second)
		synctest.Wait()
		const want = `level=WARN msg="a cancel was refused" err="4992 more like this within a minute were not logged"`
		if lines(want) != 1 || lines("more like this") != 1 {
			t.Errorf("the count: got %s", to.String()[max(0, len(to.String())-500):])
		}
		log.Warn("a cancel was refused")
		if got := lines("a cancel was refused"); got != repeatsMost+2 {
			t.Errorf("after a minute: got %d lines, want %d", got, repeatsMost+2)
		}
		time.Sleep(repeatsIn + time.Second) // one line is not counted
		synctest.Wait()
		if lines("more like this") != 1 {
			t.Error("one line was counted")
		}
	})
}

// A lockedBuffer is written and read by several at once.
type lockedBuffer struct {
	mu   sync.Mutex
	text bytes.Buffer
}

func (b *lockedBuffer) Write(p []byte) (int, error) {
	b.mu.Lock()
	defer b.mu.Unlock()
	return b.text.Write(p)
}

func (b *lockedBuffer) String() string {
	b.mu.Lock()
	defer b.mu.Unlock()
	return b.text.String()
}
