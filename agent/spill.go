package agent

import (
	"encoding/json"
	"slices"
	"time"

	"github.com/ratchetd/ratchet/telemetry"
)

// spill writes what waits in RAM to the journal, at most once in the time that
// the owner allows: all that is written was taken since the last time.
func (a *Agent) spill(now time.Time) {
	every := time.Duration(a.config.Load().Telemetry.Spill)
	list, _ := a.backlog.unspilled()
	if every == 0 || len(list) == 0 || now.Sub(list[0].at) < every {
		return
	}
	a.spillAll()
}

// spillAll makes one commit, or none where nothing is to be done. What cannot
// be written, as on a full disk, waits in RAM for the next time.
func (a *Agent) spillAll() {
	list, gone := a.backlog.unspilled()
	if a.config.Load().Telemetry.Spill == 0 {
		list = nil
	}
	var data [][]byte
	for _, w := range list {
		w.data = a.dataOf(w)
		data = append(data, w.data)
	}
	seqs, err := a.db.SwapSamples(gone, data...)
	if err != nil {
		a.log.Warn("samples wait in RAM: they could not be written", "err", err)
		return
	}
	a.backlog.spilled(list, seqs, gone)
}

// forgetSent drops what was sent from the journal, in one commit once nothing
// in it waits any more. Cut before that, the device sends it again.
func (a *Agent) forgetSent() {
	gone := a.backlog.drained()
	if len(gone) == 0 {
		return
	}
	if _, err := a.db.SwapSamples(gone); err != nil {
		a.log.Warn("samples that were sent stay in the journal for now", "err", err)
		return
	}
	a.backlog.spilled(nil, nil, gone)
}

// restore finds what an earlier agent has spilled. How far apart the samples
// were taken is all that counts of their times here.
func (a *Agent) restore() error {
	saved, err := a.db.Samples()
	if err != nil {
		return err
	}
	at, later := time.Now(), time.Time{}
	apart := time.Duration(a.config.Load().Telemetry.Publish)
	for i := len(saved) - 1; i >= 0; i-- {
		var s telemetry.Sample
		_ = json.Unmarshal(saved[i].Data, &s) // the agent wrote it
		gap := apart
		if !s.Time.IsZero() && later.After(s.Time) {
			gap = later.Sub(s.Time)
		}
		at, later = at.Add(-gap), s.Time
		a.backlog.list = append(a.backlog.list, &waiting{at: at, seq: saved[i].Seq})
	}
	slices.Reverse(a.backlog.list)
	return nil
}
