package agent

import (
	"fmt"
	"strings"
	"time"
)

var attacksByFlood = []attack{
	{"cancels that nobody signed, by the thousand", func(f *fort) string {
		if commits := f.cancelThousands(); commits > 0 {
			f.Errorf("got %d commits, want none", commits)
		}
		return "refused: no commit for them"
	}},
	{"cancels where nobody must sign, by the thousand", func(f *fort) string {
		before, _, _ := strings.Cut(readAll(f.T, f.config.Load().Path()), "[policy]")
		f.write("ratchet.toml", before)
		if commits := f.cancelThousands(); commits > 64 {
			f.Errorf("got %d commits, want 64", commits)
		}
		// A flood keeps no cancel of the operator's out.
		f.b.retain("ratchet/v1/jobs/all/late", `{"id":"late","cancel":true}`)
		return "64 commits for them; a job whose cancel came behind them: " + f.send("late", f.good("late"))
	}},
}

// cancelThousands brings cancels of jobs that never were, and tells how many commits
// they cost.
func (f *fort) cancelThousands() uint64 {
	f.Helper()
	f.stop()
	f.b.forget()
	f.start().online(f.b)
	before := f.db.Commits()
	const n = 3000
	for i := range n {
		topic := fmt.Sprintf("ratchet/v1/jobs/all/c%d", i)
		must(f, f.b.server.Publish(topic, fmt.Appendf(nil, `{"id":"c%d","cancel":true}`, i), false, 1))
		for end := time.Now().Add(time.Minute); i%100 == 99 && f.b.count(topic) == 0; time.Sleep(time.Millisecond) {
			if time.Now().After(end) {
				f.Fatalf("cancel %d was not taken", i)
			}
		}
	}
	f.wantRuns()
	const ofTheJob = 3
	return f.db.Commits() - before - ofTheJob
}
