package memory

import (
	"context"
	"database/sql"
	"encoding/json"
	"fmt"
	"time"

	"github.com/ratchetd/ratchet/agent/dialect"
	"github.com/ratchetd/ratchet/cmd/ratchet/internal/link"
	"github.com/ratchetd/ratchet/executor"
)

// A batch is what is written by one commit.
type batch struct {
	ctx  context.Context
	tx   *sql.Tx
	now  int64
	ids  map[string]int64 // devices that are new
	memo *Memory
	made map[string]*sql.Stmt
}

// Take keeps what the messages say, all of it or nothing. What was taken already
// changes nothing. What no honest device sends is left out. One goroutine may call
// it at a time.
func (m *Memory) Take(ctx context.Context, now time.Time, messages []link.Message) error {
	tx, err := m.write.BeginTx(ctx, nil)
	if err != nil {
		return explain(err)
	}
	defer tx.Rollback()
	b := &batch{ctx: ctx, tx: tx, now: now.Unix(), ids: map[string]int64{}, memo: m, made: map[string]*sql.Stmt{}}
	for _, message := range messages {
		if err := b.take(message); err != nil {
			return fmt.Errorf("keeping %s: %w", message.Topic.Below("…"), explain(err))
		}
	}
	if err := tx.Commit(); err != nil {
		return explain(err)
	}
	for name, id := range b.ids {
		m.ids[name] = id
	}
	return nil
}

func (b *batch) exec(text string, args ...any) (sql.Result, error) {
	made := b.made[text]
	if made == nil {
		var err error
		if made, err = b.tx.PrepareContext(b.ctx, text); err != nil {
			return nil, err
		}
		b.made[text] = made
	}
	return made.ExecContext(b.ctx, args...)
}

func (b *batch) do(text string, args ...any) error {
	_, err := b.exec(text, args...)
	return err
}

func (b *batch) take(m link.Message) error {
	t := m.Topic
	switch {
	case m.TooLong:
		return nil
	case t.To != "":
		return b.offer(t, m.Payload)
	case t.Part == dialect.Rollouts:
		return b.rollout(t.Name, m.Payload)
	case !executor.ValidDevice(t.Device):
		return nil
	}
	id, err := b.device(t.Device)
	if err != nil {
		return err
	}
	switch t.Part {
	case "state":
		return b.presence(id, m.Payload)
	case "facts":
		return b.do("UPDATE devices SET facts = ?, seen = ? WHERE id = ?", m.Payload, b.now, id)
	case "jobs":
		return b.status(id, t.Name, m.Payload)
	case "alerts":
		return b.alert(id, t.Name, m.Payload)
	case "health":
		return b.health(id, m.Payload)
	}
	return nil
}

// device is the number of a device, which is new where it was never heard of.
func (b *batch) device(name string) (int64, error) {
	for _, known := range []map[string]int64{b.memo.ids, b.ids} {
		if id, ok := known[name]; ok {
			return id, nil
		}
	}
	if err := b.do("INSERT INTO devices (name, first, seen) VALUES (?, ?, ?) ON CONFLICT (name) DO NOTHING", name, b.now, b.now); err != nil {
		return 0, err
	}
	var id int64
	if err := b.tx.QueryRowContext(b.ctx, "SELECT id FROM devices WHERE name = ?", name).Scan(&id); err != nil {
		return 0, err
	}
	b.ids[name] = id
	return id, nil
}

func (b *batch) presence(id int64, payload []byte) error {
	var p dialect.Presence
	_ = json.Unmarshal(payload, &p) // a state that cannot be read is offline
	return b.do("UPDATE devices SET online = ?, since = ?, agent = ?, seen = ? WHERE id = ?", p.Online, seconds(p.Since), p.Agent, b.now, id)
}

func seconds(t executor.Time) int64 {
	if t.IsZero() {
		return 0
	}
	return t.Unix()
}

func (b *batch) offer(t dialect.Topic, payload []byte) error {
	if len(payload) == 0 {
		return b.do("DELETE FROM offers WHERE job = ? AND whom = ?", t.Name, t.To)
	}
	return b.do(`INSERT INTO offers VALUES (?, ?, ?, ?) ON CONFLICT (job, whom) DO UPDATE SET at = excluded.at, payload = excluded.payload
		WHERE payload <> excluded.payload`, t.Name, t.To, payload, b.now)
}

func (b *batch) rollout(job string, payload []byte) error {
	if len(payload) == 0 {
		return b.do("DELETE FROM rollouts WHERE job = ?", job)
	}
	return b.do("INSERT INTO rollouts VALUES (?, ?, ?) ON CONFLICT (job) DO UPDATE SET document = excluded.document, at = excluded.at", job, payload, b.now)
}

// status keeps the highest rev; of equal ones the later counts. An empty one, of
// a job that is forgotten, leaves what is remembered.
func (b *batch) status(id int64, job string, payload []byte) error {
	var s dialect.JobStatus
	if len(payload) == 0 || json.Unmarshal(payload, &s) != nil {
		return nil
	}
	step := ""
	if s.Step != nil {
		step = s.Step.Name
	}
	err := b.do(`INSERT INTO statuses VALUES (?, ?, ?, ?, ?, ?) ON CONFLICT (device, job)
		DO UPDATE SET rev = excluded.rev, state = excluded.state, at = excluded.at, status = excluded.status
		WHERE excluded.rev >= rev AND excluded.status <> status`, id, job, s.Rev, string(s.State), b.now, payload)
	if err != nil {
		return err
	}
	return b.do("INSERT INTO passages VALUES (?, ?, ?, ?, ?, ?) ON CONFLICT DO NOTHING", id, job, s.Rev, string(s.State), step, b.now)
}

// alert keeps one from when it was raised to when it was cleared. A broker may
// bring both in any order.
func (b *batch) alert(id int64, name string, payload []byte) error {
	var a dialect.Alert
	readable := json.Unmarshal(payload, &a) == nil
	since, cleared := seconds(a.Since), b.now
	if !a.Cleared.IsZero() {
		cleared = seconds(a.Cleared)
	}
	if !readable || a.State != dialect.AlertRaised {
		if since > 0 {
			return b.do(`INSERT INTO alerts (device, name, severity, since, cleared, value, rule) VALUES (?, ?, ?, ?, ?, ?, ?)
				ON CONFLICT (device, name, since) DO UPDATE SET cleared = excluded.cleared`, id, name, a.Severity, since, cleared, []byte(a.Value), a.Rule)
		}
		return b.do("UPDATE alerts SET cleared = ? WHERE device = ? AND name = ? AND cleared IS NULL", cleared, id, name)
	}
	if err := b.do("UPDATE alerts SET cleared = ? WHERE device = ? AND name = ? AND cleared IS NULL AND since < ?", since, id, name, since); err != nil {
		return err
	}
	return b.do(`INSERT INTO alerts (device, name, severity, since, value, rule) VALUES (?, ?, ?, ?, ?, ?)
		ON CONFLICT (device, name, since) DO UPDATE SET severity = excluded.severity, value = excluded.value`,
		id, name, a.Severity, since, []byte(a.Value), a.Rule)
}

// Settle ends those alerts that are no longer raised by what the broker retains:
// nobody said so while the broker kept no session.
func (m *Memory) Settle(ctx context.Context, now time.Time, raised func(device, name string) bool) error {
	type open struct {
		id           int64
		device, name string
	}
	all, err := listed(ctx, m.read, func(r *sql.Rows) (o open, err error) {
		err = r.Scan(&o.id, &o.device, &o.name)
		return o, err
	}, "SELECT a.id, d.name, a.name FROM alerts a JOIN devices d ON d.id = a.device WHERE a.cleared IS NULL")
	for _, o := range all {
		if !raised(o.device, o.name) && err == nil {
			_, err = m.write.ExecContext(ctx, "UPDATE alerts SET cleared = ? WHERE id = ? AND cleared IS NULL", now.Unix(), o.id)
		}
	}
	return err
}
