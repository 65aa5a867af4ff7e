package memory

import (
	"context"
	"database/sql"
	"encoding/json"
	"time"

	"github.com/ratchetd/ratchet/executor"
)

// An Action is what somebody did by way of the server.
type Action struct {
	ID      int64         `json:"id"`
	At      executor.Time `json:"at"`
	Who     string        `json:"who"`
	Did     string        `json:"did"`    // submit, cancel, pause, resume, next or abort
	Object  string        `json:"object"` // the job
	Because string        `json:"because"`
	Outcome string        `json:"outcome"` // done, or why not
}

// Note keeps an action.
func (m *Memory) Note(ctx context.Context, a Action) error {
	_, err := m.write.ExecContext(ctx, "INSERT INTO actions (at, who, did, object, because, outcome) VALUES (?, ?, ?, ?, ?, ?)",
		a.At.Unix(), a.Who, a.Did, a.Object, a.Because, a.Outcome)
	if err != nil {
		return explain(err)
	}
	return nil
}

// listed runs a query that gives what is newest first, and reads its rows.
func listed[T any](ctx context.Context, db *sql.DB, scan func(*sql.Rows) (T, error), text string, args ...any) ([]T, error) {
	rows, err := db.QueryContext(ctx, text, args...)
	if err != nil {
		return nil, explain(err)
	}
	defer rows.Close()
	all := []T{}
	for rows.Next() {
		item, err := scan(rows)
		if err != nil {
			return nil, explain(err)
		}
		all = append(all, item)
	}
	return all, rows.Err()
}

func at(seconds int64) executor.Time {
	if seconds == 0 {
		return executor.Time{}
	}
	return executor.Time{Time: time.Unix(seconds, 0).UTC()}
}

// Actions are at most so many that have a number below another, the newest first.
func (m *Memory) Actions(ctx context.Context, below int64, most int) ([]Action, error) {
	return listed(ctx, m.read, func(r *sql.Rows) (a Action, err error) {
		var when int64
		err = r.Scan(&a.ID, &when, &a.Who, &a.Did, &a.Object, &a.Because, &a.Outcome)
		a.At = at(when)
		return a, err
	}, "SELECT id, at, who, did, object, because, outcome FROM actions WHERE id < ? ORDER BY id DESC LIMIT ?", below, most)
}

// An Alert is one that a device raised, and perhaps has cleared.
type Alert struct {
	ID       int64           `json:"id"`
	Device   string          `json:"device"`
	Name     string          `json:"name"`
	Severity string          `json:"severity"`
	Since    executor.Time   `json:"since,omitzero"`
	Cleared  executor.Time   `json:"cleared,omitzero"`
	Value    json.RawMessage `json:"value,omitempty"`
	Rule     string          `json:"rule"`
}

// Alerts are at most so many that have a number below another, the newest first,
// of one device where one is named.
func (m *Memory) Alerts(ctx context.Context, device string, below int64, most int) ([]Alert, error) {
	return listed(ctx, m.read, func(r *sql.Rows) (a Alert, err error) {
		var since, cleared int64
		var value []byte
		err = r.Scan(&a.ID, &a.Device, &a.Name, &a.Severity, &since, &cleared, &value, &a.Rule)
		a.Since, a.Cleared = at(since), at(cleared)
		if json.Valid(value) {
			a.Value = value
		}
		return a, err
	}, `SELECT a.id, d.name, a.name, a.severity, a.since, coalesce(a.cleared, 0), a.value, a.rule FROM alerts a JOIN devices d ON d.id = a.device
		WHERE a.id < ? AND (? = '' OR d.name = ?) ORDER BY a.id DESC LIMIT ?`, below, device, device, most)
}

// A Passage is a state and step that a job went through on a device.
type Passage struct {
	Device string        `json:"device"`
	Rev    uint64        `json:"rev"`
	State  string        `json:"state"`
	Step   string        `json:"step,omitempty"`
	At     executor.Time `json:"at"` // when it was heard of
}

// Passages are how a job went on one device, the oldest first, at most so many.
func (m *Memory) Passages(ctx context.Context, device, job string, most int) ([]Passage, error) {
	return listed(ctx, m.read, func(r *sql.Rows) (p Passage, err error) {
		var when int64
		err = r.Scan(&p.Device, &p.Rev, &p.State, &p.Step, &when)
		p.At = at(when)
		return p, err
	}, `SELECT d.name, p.rev, p.state, p.step, p.at FROM passages p JOIN devices d ON d.id = p.device
		WHERE d.name = ? AND p.job = ? ORDER BY p.rev LIMIT ?`, device, job, most)
}
