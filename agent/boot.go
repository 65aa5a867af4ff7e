package agent

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

// noteBoot finds out why the boot before this one ended.
func (a *Agent) noteBoot() error {
	var was bootMark
	saved, err := a.db.Get("boot")
	if err != nil {
		return err
	}
	if saved != nil {
		_ = json.Unmarshal(saved, &was) // at worst the reason is not known
	}
	now := bootMark{ID: a.boot}
	switch {
	case was.ID == a.boot:
		now.Reason = was.Reason
	case was.Stopped:
		now.Reason = "stopped"
	case was.ID != "":
		now.Reason = telemetry.ResetReason()
	}
	a.health.Boot = bootOf(a.boot, now.Reason)
	return a.markBoot(now)
}

func bootOf(id, reason string) *telemetry.Boot {
	return &telemetry.Boot{ID: id[:min(8, len(id))], Reason: reason}
}

// noteStop says that the agent ends in order, as when the board is shut down.
func (a *Agent) noteStop() error {
	return a.markBoot(bootMark{ID: a.boot, Reason: a.health.Boot.Reason, Stopped: true})
}

func (a *Agent) markBoot(m bootMark) error {
	text, err := json.Marshal(m)
	if err == nil {
		err = a.db.Set("boot", text)
	}
	return err
}
