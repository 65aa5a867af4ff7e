package demo

import (
	"testing"

	"github.com/ratchetd/ratchet/agent/dialect"
	"github.com/ratchetd/ratchet/executor"
)

func TestTheDemoSeesABrokenPromise(t *testing.T) {
	step := func(attempts, interrupted int, state executor.State) dialect.StepStatus {
		return dialect.StepStatus{Name: "s", State: state, Attempts: attempts, Interrupted: interrupted}
	}
	for _, c := range []struct {
		name string
		e    Entry
		want bool
	}{
		{"ran once", Entry{Step: step(1, 0, executor.Succeeded), Ran: 1, jobDone: true}, true},
		{"leaves no mark", Entry{Step: step(1, 0, executor.Succeeded), Ran: -1, jobDone: true}, true},
		{"was cut and ran again", Entry{Step: step(2, 1, executor.Succeeded), Ran: 2, cut: true, jobDone: true}, true},
		{"was cut and not run again", Entry{Step: step(2, 1, executor.Succeeded), Ran: 1, cut: true, jobDone: true}, false},
		{"was cut and nobody noticed", Entry{Step: step(1, 0, executor.Succeeded), Ran: 1, cut: true, jobDone: true}, false},
		{"ran twice", Entry{Step: step(1, 0, executor.Succeeded), Ran: 2, jobDone: true}, false},
		{"was told but did not run", Entry{Step: step(1, 0, executor.Succeeded), Ran: 0, jobDone: true}, false},
		{"was begun twice without a cut", Entry{Step: step(2, 0, executor.Succeeded), Ran: 2, jobDone: true}, false},
		{"failed", Entry{Step: step(1, 0, executor.Failed), Ran: 1, jobDone: true}, false},
		{"is in a job that failed", Entry{Step: step(1, 0, executor.Succeeded), Ran: 1}, false},
	} {
		if got := c.e.Kept(); got != c.want {
			t.Errorf("a step that %s: kept = %v, want %v", c.name, got, c.want)
		}
		if err := (Account{c.e}).Kept(); (err == nil) != c.want {
			t.Errorf("an account with a step that %s: %v", c.name, err)
		}
	}
	if err := (Account{}).Kept(); err == nil {
		t.Error("an empty account was found good")
	}
}
