package memory

import (
	"context"
	"embed"
	"fmt"
	"strings"
)

//go:embed migrations/*.sql
var migrations embed.FS

// migrate brings the database to this version's schema, one numbered step after
// another, each in a transaction of its own.
func (m *Memory) migrate(ctx context.Context) error {
	steps, err := migrations.ReadDir("migrations")
	if err != nil {
		return err
	}
	var at int
	if err := m.write.QueryRowContext(ctx, "PRAGMA user_version").Scan(&at); err != nil {
		return err
	}
	if at > len(steps) {
		return fmt.Errorf("a newer ratchet wrote it (schema %d, and this one knows %d): run that one, or name another file", at, len(steps))
	}
	for i, step := range steps[at:] {
		text, err := migrations.ReadFile("migrations/" + step.Name())
		if err == nil {
			err = m.step(ctx, string(text), at+i+1)
		}
		if err != nil {
			return fmt.Errorf("bringing the schema to %s: %w", strings.TrimSuffix(step.Name(), ".sql"), err)
		}
	}
	return nil
}

func (m *Memory) step(ctx context.Context, text string, version int) error {
	tx, err := m.write.BeginTx(ctx, nil)
	if err != nil {
		return err
	}
	defer tx.Rollback()
	if _, err := tx.ExecContext(ctx, text); err != nil {
		return err
	}
	if _, err := tx.ExecContext(ctx, fmt.Sprintf("PRAGMA user_version = %d", version)); err != nil {
		return err
	}
	return tx.Commit()
}
