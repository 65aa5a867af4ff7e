package health

import (
	"encoding/json"

	"github.com/ratchetd/ratchet/telemetry"
)

// bootMark is the journal's word on boots, so that each tells how the one
// before it ended. It costs a commit at each start and each stop.
type bootMark struct {
	ID      string `json:"id"`
	Reason  string `json:"reason,omitempty"`
	Stopped bool   `json:"stopped,omitempty"` // the agent was ended in order
}

// RecordBoot finds out why the boot before this one ended.
func (h *Health) RecordBoot() error {
	h.boot = bootOf(h.BootID, "")
	var was bootMark
	saved, err := h.DB.Get("boot")
	if err != nil {
		return err
	}
	if saved != nil {
		_ = json.Unmarshal(saved, &was) // at worst the reason is not known
	}
	now := bootMark{ID: h.BootID}
	switch {
	case was.ID == h.BootID:
		now.Reason = was.Reason
	case was.Stopped:
		now.Reason = "stopped"
	case was.ID != "":
		now.Reason = telemetry.ResetReason()
	}
	h.boot = bootOf(h.BootID, now.Reason)
	return h.markBoot(now)
}

func bootOf(id, reason string) *telemetry.Boot {
	return &telemetry.Boot{ID: id[:min(8, len(id))], Reason: reason}
}

// RecordStop records that the agent ends in order, as when the board is shut down.
func (h *Health) RecordStop() error {
	return h.markBoot(bootMark{ID: h.BootID, Reason: h.boot.Reason, Stopped: true})
}

func (h *Health) markBoot(m bootMark) error {
	text, err := json.Marshal(m)
	if err == nil {
		err = h.DB.Set("boot", text)
	}
	return err
}
