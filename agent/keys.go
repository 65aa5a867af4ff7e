package agent

import (
	"encoding/json"
	"slices"

	"github.com/ratchetd/ratchet/executor"
	"github.com/ratchetd/ratchet/executor/step"
)

// keysKind is the kind that changes the key set of this device.
func (a *Agent) keysKind() step.Keys {
	c := a.config.Load()
	return step.Keys{Path: c.KeysFile(), Alone: c.Service().OneByOne, Now: func() []string { return a.config.Load().Policy.Keys },
		Used: a.usedSequence, Use: a.useSequence, Signed: a.signedSince, Reload: a.reloadKeys}
}

// reloadKeys puts the key set into force, and nothing else of the configuration:
// somebody may be about to edit that. Where a key is new all offers are fetched
// again, for one that it signed may have been refused.
func (a *Agent) reloadKeys() error {
	for {
		was := a.config.Load()
		now := *was
		if err := now.ReadKeys(); err != nil {
			return err
		}
		if !a.config.CompareAndSwap(was, &now) {
			continue
		}
		isNew := func(key string) bool { return !slices.Contains(was.Policy.Keys, key) }
		if slices.ContainsFunc(now.Policy.Keys, isNew) {
			a.link.Restart()
		}
		return nil
	}
}

// usedSequence is the highest sequence of a key set that this device has tried.
// The journal knows it also of one that was taken back.
func (a *Agent) usedSequence() (int64, error) {
	tried := int64(0)
	text, err := a.db.Get("keys")
	if err == nil && text != nil {
		err = json.Unmarshal(text, &tried)
	}
	return max(tried, a.config.Load().KeySequence()), err
}

func (a *Agent) useSequence(n int64) error {
	text, err := json.Marshal(n)
	if err != nil {
		return err
	}
	return a.db.Set("keys", text)
}

// signedSince reports whether a job that waits here since that one began, or that
// one itself, was signed by one of these keys. The journal knows what has come,
// so a cut forgets nothing.
func (a *Agent) signedSince(job string, ids []string) (bool, error) {
	unfinished, err := a.db.Unfinished()
	if err != nil {
		return false, err
	}
	since := slices.IndexFunc(unfinished, func(r executor.Record) bool { return r.ID == job })
	if since < 0 {
		return false, nil
	}
	return slices.ContainsFunc(unfinished, func(r executor.Record) bool {
		return r.Seq >= unfinished[since].Seq && slices.Contains(ids, r.By)
	}), nil
}
