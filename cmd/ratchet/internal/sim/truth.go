package sim

import (
	"sync"

	"github.com/ratchetd/ratchet/agent"
	"github.com/ratchetd/ratchet/executor"
)

// A truth is what really happened on one device, whatever is told of it.
type truth struct {
	mu      sync.Mutex
	steps   map[string]map[string]int // how often each step of a job was done
	ends    map[string]executor.Record
	doubled map[string]int // by job: ends beside the first
}

func newTruth() *truth {
	return &truth{steps: map[string]map[string]int{}, ends: map[string]executor.Record{}, doubled: map[string]int{}}
}

// nth is the number of the step that runs now, from 1.
func (t *truth) nth(job string) int {
	t.mu.Lock()
	defer t.mu.Unlock()
	return len(t.steps[job]) + 1
}

func (t *truth) done(job, step string) {
	t.mu.Lock()
	defer t.mu.Unlock()
	if t.steps[job] == nil {
		t.steps[job] = map[string]int{}
	}
	t.steps[job][step]++
}

// ended notes how a job ended on the device.
func (t *truth) ended(r executor.Record) {
	t.mu.Lock()
	defer t.mu.Unlock()
	if was, twice := t.ends[r.ID]; twice && was.State != r.State {
		t.doubled[r.ID]++
	}
	t.ends[r.ID] = executor.Record{ID: r.ID, State: r.State, Rev: r.Rev, Digest: r.Digest}
}

// A journal tells the truth what becomes durable.
type journal struct {
	agent.Journal
	truth *truth
}

// Put implements executor.Journal.
func (j journal) Put(r executor.Record) error {
	err := j.Journal.Put(r)
	if err == nil && r.State.Final() {
		j.truth.ended(r)
	}
	return err
}
