package agent

import (
	"encoding/json"
	"maps"
	"slices"
	"sync"
	"time"

	"github.com/ratchetd/ratchet/agent/dialect"
)

// keepNoted is how long an alert about something that happened, and does not end by
// itself, stays raised.
const keepNoted = 24 * time.Hour

// happened are those alerts; the others are cleared by what they watch.
var happened = []string{"id-reused", "gave-up", "undo-failed", "journal-broken", "duplicate-id"}

// alerts are what is raised now. They are in the journal, so that an alert is
// raised once and cleared once across restarts; raising one that is raised
// costs nothing.
type alerts struct {
	agent *Agent
	mu    sync.Mutex
	noted map[string]dialect.Alert
}

func (l *alerts) load() error {
	l.mu.Lock()
	defer l.mu.Unlock()
	l.noted = map[string]dialect.Alert{}
	saved, err := l.agent.db.Get("alerts")
	if err != nil || saved == nil {
		return err
	}
	return json.Unmarshal(saved, &l.noted)
}

// raise raises the alert; rule says in words what is wrong.
func (l *alerts) raise(name, severity, rule string) {
	l.mu.Lock()
	defer l.mu.Unlock()
	if was, ok := l.noted[name]; ok && was.State == dialect.AlertRaised {
		return
	}
	l.agent.log.Warn("alert", "name", name, "rule", rule)
	l.note(dialect.Alert{Name: name, Device: l.agent.config.Load().Device, Severity: severity, State: dialect.AlertRaised,
		Since: stampOf(l.agent.clock.stamp()), Rule: rule})
}

// clear ends the alert, if it is raised. Until the broker has taken that, it
// stays noted.
func (l *alerts) clear(name string) {
	l.mu.Lock()
	defer l.mu.Unlock()
	a, ok := l.noted[name]
	if !ok || a.State == dialect.AlertCleared {
		return
	}
	a.State, a.Cleared = dialect.AlertCleared, stampOf(l.agent.clock.stamp())
	l.note(a)
}

// note keeps the alert and has it told; the lock is held. One that cannot be
// kept, as when the disk is full, is still told.
func (l *alerts) note(a dialect.Alert) {
	l.noted[a.Name] = a
	l.save()
	l.tell(a)
}

func (l *alerts) save() {
	saved, err := json.Marshal(l.noted)
	if err == nil {
		err = l.agent.db.Set("alerts", saved)
	}
	if err != nil {
		l.agent.log.Warn("an alert is not in the journal", "err", err)
	}
}

func (l *alerts) tell(a dialect.Alert) {
	l.agent.told.say(word{messages: l.agent.dialect().Tell(a), told: func() {
		l.mu.Lock()
		defer l.mu.Unlock()
		if now, ok := l.noted[a.Name]; ok && a.State == dialect.AlertCleared && now.State == a.State {
			delete(l.noted, a.Name)
			l.save()
		}
	}})
}

// resend tells all that is noted, and clears what was noted long enough.
func (l *alerts) resend() {
	l.mu.Lock()
	noted := slices.Collect(maps.Values(l.noted))
	l.mu.Unlock()
	now := l.agent.clock.now()
	for _, a := range noted {
		if slices.Contains(happened, a.Name) && !a.Since.IsZero() && now.Sub(a.Since.Time) > keepNoted {
			l.clear(a.Name)
		} else {
			l.tell(a)
		}
	}
}

// list is what is raised now, by name.
func (l *alerts) list() []dialect.Alert {
	l.mu.Lock()
	defer l.mu.Unlock()
	var list []dialect.Alert
	for _, name := range slices.Sorted(maps.Keys(l.noted)) {
		if a := l.noted[name]; a.State == dialect.AlertRaised {
			list = append(list, a)
		}
	}
	return list
}
