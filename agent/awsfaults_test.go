package agent

import (
	"fmt"
	"math/rand/v2"
	"os"
	"path/filepath"
	"strings"
	"sync"
	"testing"
	"time"

	"github.com/ratchetd/ratchet/executor"
	"github.com/ratchetd/ratchet/scripts/fakeaws/jobs"
)

// harms are what may happen to a request: each number is how likely it is.
type harms struct {
	lost, twice, cut, deaf, late float64
	codes                        []string // one of them, as likely as late
}

// fate throws the dice. It cuts four times at most: of the fifth the device
// takes it that another one has its id, and then waits for minutes.
func (h harms) fate(seed uint64) func(string) jobs.Fate {
	var mu sync.Mutex
	dice, cuts := rand.New(rand.NewPCG(seed, 1)), 0
	return func(string) jobs.Fate {
		mu.Lock()
		defer mu.Unlock()
		hit := func(p float64) bool { return dice.Float64() < p }
		f := jobs.Fate{Lost: hit(h.lost), Twice: hit(h.twice), Cut: hit(h.cut), Deaf: hit(h.deaf)}
		if f.Cut || f.Deaf {
			cuts++
			f.Cut, f.Deaf = f.Cut && cuts <= 4, f.Deaf && cuts <= 4
		}
		if hit(h.late) {
			f.Delay = time.Duration(dice.IntN(900)) * time.Millisecond
		}
		if len(h.codes) > 0 && hit(h.late) {
			f.Code = h.codes[dice.IntN(len(h.codes))]
		}
		return f
	}
}

// TestWhateverHappensToMessagesBothAgreeOnTheOutcome is the invariant: where
// the service had the execution open, its final state is what the device did,
// and the device did it once.
func TestWhateverHappensToMessagesBothAgreeOnTheOutcome(t *testing.T) {
	t.Parallel()
	bothAgree(t, 1)
}

// TestE2EWhateverHappensToMessagesBothAgree throws the dice more often.
func TestE2EWhateverHappensToMessagesBothAgree(t *testing.T) {
	if os.Getenv("RATCHET_E2E") == "" {
		t.Skip("RATCHET_E2E=1 runs it, or make e2e")
	}
	bothAgree(t, 12)
}

func bothAgree(t *testing.T, seeds uint64) {
	t.Helper()
	for name, h := range map[string]harms{
		"lost answers":         {lost: 0.4},
		"requests twice":       {twice: 0.5},
		"late answers":         {late: 0.5},
		"cuts behind":          {cut: 0.25},
		"cuts before":          {deaf: 0.25},
		"throttled":            {late: 0.4, codes: []string{"RequestThrottled", "InternalError"}},
		"all of it":            {lost: 0.1, twice: 0.2, cut: 0.1, deaf: 0.1, late: 0.2, codes: []string{"RequestThrottled", "InternalError"}},
		"a cut at every other": {cut: 0.5},
	} {
		for seed := range seeds {
			t.Run(fmt.Sprint(name, seed), func(t *testing.T) {
				s, d := newAWS(t, "")
				s.Fate = h.fate(seed)
				d.start()
				d.sees(t, s)
			})
		}
	}
}

// sees runs three jobs, of which one fails, and compares.
func (d *device) sees(t *testing.T, s *jobs.Service) {
	t.Helper()
	file := filepath.Join(d.dir, "out")
	for _, id := range []string{"a", "b", "c"} {
		last := "true"
		if id == "b" {
			last = "exit 1"
		}
		create(t, s, id, fmt.Sprintf(`{"steps":[{"name":"one","command":{"shell":"echo %[1]s1 >>%[2]s"}},{"name":"two","command":{"shell":"echo %[1]s2 >>%[2]s; %[3]s"}}]}`, id, file, last))
	}
	ends(t, s, "c")
	for id, want := range map[string]string{"a": "SUCCEEDED", "b": "FAILED", "c": "SUCCEEDED"} {
		if got := strings.Join(s.Execution("gw-1", id).History, " "); got != "QUEUED IN_PROGRESS "+want {
			t.Errorf("%s: got %s, want it to end %s", id, got, want)
		}
		if r := d.lastRecord(id); (r.State == executor.Succeeded) != (want == "SUCCEEDED") {
			t.Errorf("%s: got %s on the device, want what the service has, %s", id, r.State, want)
		}
	}
	if got, want := read(t, file), "a1 a2 b1 b2 c1 c2"; got != want {
		t.Errorf("got %q, want %q: each once, in order", got, want)
	}
}
