// Package alert keeps what is raised now: across restarts, raised once and cleared
// once, told until the broker has it; and judges the board by rules, which may begin
// a repair.
package alert

import (
	"encoding/json"
	"log/slog"
	"maps"
	"slices"
	"sync"
	"time"

	"github.com/ratchetd/ratchet/agent/clock"
	"github.com/ratchetd/ratchet/agent/config"
	"github.com/ratchetd/ratchet/agent/dialect"
	"github.com/ratchetd/ratchet/agent/report"
	"github.com/ratchetd/ratchet/store"
)

// keepNoted is how long an alert about something that happened, and does not end by
// itself, stays raised.
const keepNoted = 24 * time.Hour

// happened are those alerts; the others are cleared by what they watch.
var happened = []string{"id-reused", "gave-up", "undo-failed", "journal-broken", "journal-older", "refused-by-broker", "duplicate-id", "outcome-unreported"}

// Alerts are what is raised now. They are in the journal, so that an alert is
// raised once and cleared once across restarts; raising one that is raised costs
// nothing. Set the exported fields, and Load, before it is used.
type Alerts struct {
	Config *config.Current
	Clock  *clock.Clock
	DB     *store.DB
	// Say takes a notice to be told.
	Say func(report.Notice)
	Log *slog.Logger

	mu    sync.Mutex
	noted map[string]noted
}

// noted is an alert as it is kept.
type noted struct {
	dialect.Alert
	Repair string `json:"repair,omitempty"` // id of the job that is to repair it
}

// Load finds what an earlier run had raised.
func (l *Alerts) Load() error {
	l.mu.Lock()
	defer l.mu.Unlock()
	l.noted = map[string]noted{}
	saved, err := l.DB.Get("alerts")
	if err != nil || saved == nil {
		return err
	}
	return json.Unmarshal(saved, &l.noted)
}

// Raise raises one of the built-in alerts, unless the owner does not want it;
// rule says in words what is wrong.
func (l *Alerts) Raise(name, severity, rule string) {
	if l.Config.Load().Telemetry.Wants(name) {
		l.rise(noted{Alert: dialect.Alert{Name: name, Severity: severity, Rule: rule}})
	}
}

// rise raises the alert, unless it is raised.
func (l *Alerts) rise(a noted) {
	l.mu.Lock()
	defer l.mu.Unlock()
	if was, ok := l.noted[a.Name]; ok && was.State == dialect.AlertRaised {
		return
	}
	l.Log.Warn("alert", "name", a.Name, "rule", a.Rule)
	a.Device, a.State, a.Since = l.Config.Load().Device, dialect.AlertRaised, clock.TimeOf(l.Clock.Stamp())
	l.record(a)
}

// raised returns the alert, if it is raised.
func (l *Alerts) raised(name string) (noted, bool) {
	l.mu.Lock()
	defer l.mu.Unlock()
	a, ok := l.noted[name]
	return a, ok && a.State == dialect.AlertRaised
}

// Clear ends the alert, if it is raised. Until the broker has taken that, it
// stays noted.
func (l *Alerts) Clear(name string) {
	l.mu.Lock()
	defer l.mu.Unlock()
	a, ok := l.noted[name]
	if !ok || a.State == dialect.AlertCleared {
		return
	}
	a.State, a.Cleared = dialect.AlertCleared, clock.TimeOf(l.Clock.Stamp())
	l.record(a)
}

// record keeps the alert and has it told; the lock is held. One that cannot be
// kept, as when the disk is full, is still told.
func (l *Alerts) record(a noted) {
	l.noted[a.Name] = a
	l.save()
	l.tell(a.Alert)
}

func (l *Alerts) save() {
	saved, err := json.Marshal(l.noted)
	if err == nil {
		err = l.DB.Set("alerts", saved)
	}
	if err != nil {
		l.Log.Warn("an alert is not in the journal", "err", err)
	}
}

func (l *Alerts) tell(a dialect.Alert) {
	l.Say(report.Notice{Messages: l.Config.Load().Dialect().Tell(a), Told: func() {
		l.mu.Lock()
		defer l.mu.Unlock()
		if now, ok := l.noted[a.Name]; ok && a.State == dialect.AlertCleared && now.State == a.State {
			delete(l.noted, a.Name)
			l.save()
		}
	}})
}

// Resend tells all that is noted.
func (l *Alerts) Resend() {
	l.mu.Lock()
	all := slices.Collect(maps.Values(l.noted))
	l.mu.Unlock()
	for _, a := range all {
		l.tell(a.Alert)
	}
}

// Age ends what happened long enough ago. It is called now and then, by whoever
// is awake anyway. What happened before the clock was set counts from when it is,
// and what lies in the future did so while the clock was wrong.
func (l *Alerts) Age() {
	for _, a := range l.List() {
		if !slices.Contains(happened, a.Name) {
			continue
		}
		now := l.Clock.Stamp()
		switch {
		case now.IsZero():
		case a.Since.IsZero():
			l.date(a.Name, now)
		case now.Sub(a.Since.Time).Abs() > keepNoted:
			l.Clear(a.Name)
		}
	}
}

func (l *Alerts) date(name string, since time.Time) {
	l.mu.Lock()
	defer l.mu.Unlock()
	if a, ok := l.noted[name]; ok && a.Since.IsZero() {
		a.Since = clock.TimeOf(since)
		l.record(a)
	}
}

// List is what is raised now, by name.
func (l *Alerts) List() []dialect.Alert {
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
