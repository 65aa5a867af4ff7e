package link

import (
	"fmt"
	"strings"
	"testing"

	"github.com/ratchetd/ratchet/agent/dialect"
	"github.com/ratchetd/ratchet/executor"
)

// A broker may send what this device never told, at any time and of any length.
func TestOfThePastOnlyWhatAJournalNeedsIsKept(t *testing.T) {
	long := strings.Repeat("x", 1<<20)
	var p past
	for _, on := range []bool{false, true} {
		p.on = on
		for i, s := range []dialect.JobStatus{
			{Job: "done", State: executor.Succeeded, Rev: 7, Digest: "d", Reason: long, Warnings: []string{long}, Steps: []dialect.StepStatus{{Output: long}}},
			{Job: "odd", State: executor.State(long), Rev: 8, Digest: long},
			{Job: "refused", State: executor.Rejected},
			{Job: long, State: executor.Succeeded},
		} {
			s.Device = fmt.Sprint(i)
			p.add(s)
		}
		want := []dialect.JobStatus{{Job: "done", State: executor.Succeeded, Rev: 7, Digest: "d"}, {Job: "odd", Rev: 8}}
		if !on {
			want = nil
		}
		if got := fmt.Sprintf("%+v", p.told); got != fmt.Sprintf("%+v", want) {
			t.Errorf("on %v: got %.300s, want %+v", on, got, want)
		}
	}
	if told, err := p.take(); len(told) != 2 || err != nil || p.on {
		t.Errorf("got %d and %v", len(told), err)
	}
}

// More than a device can ever have told is not taken for its past, nor half of it.
func TestTooMuchPastIsRefused(t *testing.T) {
	p := past{on: true}
	for i := range 3 * maxPast {
		p.add(dialect.JobStatus{Job: fmt.Sprint(i), State: executor.Succeeded})
		if len(p.told) > maxPast {
			t.Fatalf("%d are kept", len(p.told))
		}
	}
	if told, err := p.take(); told != nil || err != errTooMuchPast {
		t.Errorf("got %d and %v", len(told), err)
	}
}
