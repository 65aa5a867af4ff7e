package memory

import (
	"context"
	"time"
)

// Keep is for how long things are kept.
type Keep struct {
	Samples, Means, Hours time.Duration // health: each sample, means of 5 minutes, means of an hour
	History               time.Duration // final job statuses, cleared alerts and actions
}

// DefaultKeep keeps samples for two days, means for 30 days, all else for a year.
func DefaultKeep() Keep {
	const day, year = 24 * time.Hour, 365 * 24 * time.Hour
	return Keep{Samples: 2 * day, Means: 30 * day, Hours: year, History: year}
}

// shrinkRows is how many rows one commit removes: what comes is not to wait for it.
const shrinkRows = 5000

// Shrink removes what is older than it is to be kept.
func (m *Memory) Shrink(ctx context.Context, k Keep, now time.Time) error {
	old := func(d time.Duration) int64 { return now.Add(-d).Unix() }
	for _, of := range []struct {
		table, key, where string
		before            int64
	}{
		{"health", "device, at", "at < ?", old(k.Samples)},
		{"health_5m", "device, at", "at < ?", old(k.Means)},
		{"health_1h", "device, at", "at < ?", old(k.Hours)},
		{"statuses", "device, job", "at < ? AND state IN ('succeeded', 'failed', 'cancelled', 'rejected')", old(k.History)},
		{"passages", "device, job, rev", "at < ?", old(k.History)},
		{"alerts", "id", "cleared < ?", old(k.History)},
		{"actions", "id", "at < ?", old(k.History)},
	} {
		text := "DELETE FROM " + of.table + " WHERE (" + of.key + ") IN (SELECT " + of.key + " FROM " + of.table + " WHERE " + of.where + " LIMIT ?)"
		for removed := int64(shrinkRows); removed == shrinkRows; {
			done, err := m.write.ExecContext(ctx, text, of.before, shrinkRows)
			if err != nil {
				return explain(err)
			}
			if removed, err = done.RowsAffected(); err != nil {
				return explain(err)
			}
		}
	}
	return nil
}
