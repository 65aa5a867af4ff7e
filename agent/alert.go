package agent

import (
	"encoding/json"
	"maps"
	"slices"
	"sync"
	"time"

	"github.com/ratchetd/ratchet/agent/clock"
	"github.com/ratchetd/ratchet/agent/dialect"
)

// keepNoted is how long an alert about something that happened, and does not end by
// itself, stays raised.
const keepNoted = 24 * time.Hour

// happened are those alerts; the others are cleared by what they watch.
var happened = []string{"id-reused", "gave-up", "undo-failed", "journal-broken", "duplicate-id", "outcome-unreported"}

// alerts are what is raised now. They are in the journal, so that an alert is
// raised once and cleared once across restarts; raising one that is raised
// costs nothing.
type alerts struct {
	agent *Agent
	mu    sync.Mutex
	noted map[string]noted
}

// noted is an alert as it is kept.
type noted struct {
	dialect.Alert
	Repair string `json:"repair,omitempty"` // id of the job that is to repair it
}

func (l *alerts) load() error {
	l.mu.Lock()
	defer l.mu.Unlock()
	l.noted = map[string]noted{}
	saved, err := l.agent.db.Get("alerts")
	if err != nil || saved == nil {
		return err
	}
	return json.Unmarshal(saved, &l.noted)
}

// raise raises one of the built-in alerts, unless the owner does not want it;
// rule says in words what is wrong.
func (l *alerts) raise(name, severity, rule string) {
	if l.agent.config.Load().Telemetry.Wants(name) {
		l.rise(noted{Alert: dialect.Alert{Name: name, Severity: severity, Rule: rule}})
	}
}

// rise raises the alert, unless it is raised.
func (l *alerts) rise(a noted) {
	l.mu.Lock()
	defer l.mu.Unlock()
	if was, ok := l.noted[a.Name]; ok && was.State == dialect.AlertRaised {
		return
	}
	l.agent.log.Warn("alert", "name", a.Name, "rule", a.Rule)
	a.Device, a.State, a.Since = l.agent.config.Load().Device, dialect.AlertRaised, clock.TimeOf(l.agent.clock.Stamp())
	l.note(a)
}

// raised returns the alert, if it is raised.
func (l *alerts) raised(name string) (noted, bool) {
	l.mu.Lock()
	defer l.mu.Unlock()
	a, ok := l.noted[name]
	return a, ok && a.State == dialect.AlertRaised
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
	a.State, a.Cleared = dialect.AlertCleared, clock.TimeOf(l.agent.clock.Stamp())
	l.note(a)
}

// note keeps the alert and has it told; the lock is held. One that cannot be
// kept, as when the disk is full, is still told.
func (l *alerts) note(a noted) {
	l.noted[a.Name] = a
	l.save()
	l.tell(a.Alert)
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

// resend tells all that is noted.
func (l *alerts) resend() {
	l.mu.Lock()
	all := slices.Collect(maps.Values(l.noted))
	l.mu.Unlock()
	for _, a := range all {
		l.tell(a.Alert)
	}
}

// age ends what happened long enough ago. It is called now and then, by whoever
// is awake anyway. What happened before the clock was set counts from when it is,
// and what lies in the future did so while the clock was wrong.
func (l *alerts) age() {
	for _, a := range l.list() {
		if !slices.Contains(happened, a.Name) {
			continue
		}
		now := l.agent.clock.Stamp()
		switch {
		case now.IsZero():
		case a.Since.IsZero():
			l.date(a.Name, now)
		case now.Sub(a.Since.Time).Abs() > keepNoted:
			l.clear(a.Name)
		}
	}
}

func (l *alerts) date(name string, since time.Time) {
	l.mu.Lock()
	defer l.mu.Unlock()
	if a, ok := l.noted[name]; ok && a.Since.IsZero() {
		a.Since = clock.TimeOf(since)
		l.note(a)
	}
}

// list is what is raised now, by name.
func (l *alerts) list() []dialect.Alert {
	l.mu.Lock()
	defer l.mu.Unlock()
	var list []dialect.Alert
	for _, name := range slices.Sorted(maps.Keys(l.noted)) {
		if a := l.noted[name]; a.State == dialect.AlertRaised {
			list = append(list, a.Alert)
		}
	}
	return list
}
