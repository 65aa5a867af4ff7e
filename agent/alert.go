package agent

import (
	"encoding/json"
	"maps"
	"slices"
	"sync"
	"time"

	"github.com/ratchetd/ratchet/agent/dialect"
)

// noted is how long an alert about something that happened, and does not end by
// itself, stays raised.
const noted = 24 * time.Hour

// happened are those alerts; the others are cleared by what they watch.
var happened = []string{"id-reused", "gave-up", "undo-failed", "journal-broken", "duplicate-id"}

// alerts are what is raised now. They are in the journal, so that an alert is
// raised once and cleared once across restarts; raising one that is raised
// costs nothing.
type alerts struct {
	agent  *Agent
	mu     sync.Mutex
	raised map[string]dialect.Alert
}

func (l *alerts) load() error {
	l.mu.Lock()
	defer l.mu.Unlock()
	l.raised = map[string]dialect.Alert{}
	saved, err := l.agent.db.Get("alerts")
	if err != nil || saved == nil {
		return err
	}
	return json.Unmarshal(saved, &l.raised)
}

// raise raises the alert; rule says in words what is wrong.
func (l *alerts) raise(name, severity, rule string) {
	l.mu.Lock()
	_, was := l.raised[name]
	a := dialect.Alert{Name: name, Device: l.agent.config.Load().Device, Severity: severity, State: dialect.AlertRaised,
		Since: stampOf(l.agent.clock.stamp()), Rule: rule}
	if !was {
		l.raised[name] = a
		l.save()
	}
	l.mu.Unlock()
	if !was {
		l.agent.log.Warn("alert", "name", name, "rule", rule)
		l.tell(a)
	}
}

// clear ends the alert, if it is raised.
func (l *alerts) clear(name string) {
	l.mu.Lock()
	a, was := l.raised[name]
	if was {
		delete(l.raised, name)
		l.save()
	}
	l.mu.Unlock()
	if was {
		a.State, a.Cleared = dialect.AlertCleared, stampOf(l.agent.clock.stamp())
		l.tell(a)
	}
}

// save keeps what is raised; the lock is held. An alert that cannot be kept, as
// when the disk is full, is still told.
func (l *alerts) save() {
	saved, err := json.Marshal(l.raised)
	if err == nil {
		err = l.agent.db.Set("alerts", saved)
	}
	if err != nil {
		l.agent.log.Warn("an alert is not in the journal", "err", err)
	}
}

// tell sends the alert if there is a connection; resend makes up for it.
func (l *alerts) tell(a dialect.Alert) {
	if n := l.agent.link.current(); n != nil {
		l.agent.publish(n, l.agent.dialect().Tell(a))
	}
}

// resend tells all that is raised, and clears what has been noted long enough.
func (l *alerts) resend() {
	now := l.agent.clock.now()
	for _, a := range l.list() {
		if slices.Contains(happened, a.Name) && now.Sub(a.Since.Time) > noted {
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
	for _, name := range slices.Sorted(maps.Keys(l.raised)) {
		list = append(list, l.raised[name])
	}
	return list
}
