package health

import (
	"encoding/json"
	"slices"
	"time"

	"github.com/ratchetd/ratchet/telemetry"
)

// spill writes what waits in RAM to the journal, at most once in the time that
// the owner allows: all that is written was taken since the last time.
func (h *Health) spill(now time.Time) {
	every := time.Duration(h.Config.Load().Telemetry.Spill)
	list, _ := h.backlog.unspilled()
	if every == 0 || len(list) == 0 || now.Sub(list[0].at) < every {
		return
	}
	h.Spill()
}

// Spill makes one commit, or none where nothing is to be done. What cannot
// be written, as on a full disk, waits in RAM for the next time.
func (h *Health) Spill() {
	list, gone := h.backlog.unspilled()
	if h.Config.Load().Telemetry.Spill == 0 {
		list = nil
	}
	var data [][]byte
	for _, w := range list {
		w.data = h.dataOf(w)
		data = append(data, w.data)
	}
	seqs, err := h.DB.SwapSamples(gone, data...)
	if err != nil {
		h.Log.Warn("samples wait in RAM: they could not be written", "err", err)
		return
	}
	h.backlog.spilled(list, seqs, gone)
}

// forgetSent drops what was sent from the journal, in one commit once nothing
// in it waits any more. Cut before that, the device sends it again.
func (h *Health) forgetSent() {
	gone := h.backlog.drained()
	if len(gone) == 0 {
		return
	}
	if _, err := h.DB.SwapSamples(gone); err != nil {
		h.Log.Warn("samples that were sent stay in the journal for now", "err", err)
		return
	}
	h.backlog.spilled(nil, nil, gone)
}

// Restore finds what an earlier agent has spilled. How far apart the samples
// were taken is all that counts of their times here.
func (h *Health) Restore() error {
	saved, err := h.DB.Samples()
	if err != nil {
		return err
	}
	at, later := time.Now(), time.Time{}
	apart := time.Duration(h.Config.Load().Telemetry.Publish)
	for i := len(saved) - 1; i >= 0; i-- {
		var s telemetry.Sample
		_ = json.Unmarshal(saved[i].Data, &s) // the agent wrote it
		gap := apart
		if !s.Time.IsZero() && later.After(s.Time) {
			gap = later.Sub(s.Time)
		}
		at, later = at.Add(-gap), s.Time
		h.backlog.list = append(h.backlog.list, &waiting{at: at, seq: saved[i].Seq})
	}
	slices.Reverse(h.backlog.list)
	return nil
}
