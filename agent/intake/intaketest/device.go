package intaketest

import (
	"github.com/ratchetd/ratchet/agent/intake"
	"github.com/ratchetd/ratchet/executor"
	"github.com/ratchetd/ratchet/store"
)

// A diarist is the journal of a diary's device.
type diarist struct {
	store.Journal
	d *Diary
}

// Accept notes the job, and ends it at once where the device is not busy.
func (j diarist) Accept(r executor.Record) (store.Verdict, error) {
	j.d.commit()
	v, err := j.Journal.Accept(r)
	if v != store.Accepted || err != nil {
		return v, err
	}
	if !intake.Recurs(r) {
		j.d.note(r)
	}
	j.d.commit()
	if j.d.isBusy() || intake.Recurs(r) {
		return v, err
	}
	r.State, r.Rev = executor.Succeeded, 2
	return v, j.Journal.Put(r)
}

// Put is that of a recurring job's end.
func (j diarist) Put(r executor.Record) error {
	j.d.commit()
	err := j.Journal.Put(r)
	j.d.commit()
	return err
}

// A desk takes on what was accepted: nothing of it runs.
type desk struct{ d *Diary }

func (k desk) Take(r executor.Record, _ bool) {
	if intake.Recurs(r) {
		k.poked()
	}
}

func (k desk) End(string, string) { k.poked() }

func (k desk) poked() {
	if k.d.Poked != nil {
		k.d.Poked()
	}
}

func (desk) Has(string) bool          { return false }
func (desk) Poke()                    {}
func (desk) MakeRoom()                {}
func (desk) Ask(executor.Record) bool { return false }
