// Package memory keeps what devices said, beyond what a broker retains: how jobs
// went, which alerts were raised, health over weeks, and who did what. It is one
// SQLite file. It decides nothing, and a device never needs it.
package memory

import (
	"cmp"
	"context"
	"crypto/rand"
	"database/sql"
	"errors"
	"fmt"
	"net/url"
	"os"
	"path/filepath"
	"strings"

	"golang.org/x/sys/unix"
	"modernc.org/sqlite"
	lib "modernc.org/sqlite/lib"
)

// A Memory is an open database. It may be used by many goroutines at once.
type Memory struct {
	write, read *sql.DB
	lock        *os.File
	ids         map[string]int64 // devices; only Take uses it
	session     string
}

// Open opens the database in a file, or makes one. Only one process may have it.
func Open(ctx context.Context, file string) (*Memory, error) {
	if err := os.MkdirAll(filepath.Dir(file), 0o700); err != nil {
		return nil, fmt.Errorf("--database: %w", err)
	}
	lock, err := lockFile(file)
	if err != nil {
		return nil, err
	}
	m := &Memory{lock: lock, ids: map[string]int64{}}
	if m.write, err = open(file, 1); err == nil {
		m.read, err = open(file, 4)
	}
	if err == nil {
		err = m.migrate(ctx)
	}
	if err == nil {
		m.session, err = m.once(ctx, "session", strings.ToLower(rand.Text()[:12]))
	}
	if err != nil {
		m.Close()
		return nil, fmt.Errorf("--database %s: %w", file, explain(err))
	}
	return m, nil
}

// lockFile keeps a second process from the database: each would acknowledge to the
// broker what the other one lacks.
func lockFile(file string) (*os.File, error) {
	f, err := os.OpenFile(file+".lock", os.O_CREATE|os.O_RDWR, 0o600)
	if err == nil {
		err = own(file)
	}
	if err != nil {
		return nil, fmt.Errorf("--database: %w", err)
	}
	if err := unix.Flock(int(f.Fd()), unix.LOCK_EX|unix.LOCK_NB); err != nil {
		f.Close()
		return nil, fmt.Errorf("--database %s: another 'ratchet serve' has it: end that one, or name another file", file)
	}
	return f, nil
}

// own makes the file where there is none: nobody else is to read of the fleet.
func own(file string) error {
	f, err := os.OpenFile(file, os.O_CREATE|os.O_RDWR, 0o600)
	if err != nil {
		return err
	}
	return f.Close()
}

// open opens the file. A commit survives a power cut: what it holds is acknowledged
// to the broker, which then forgets it.
func open(file string, most int) (*sql.DB, error) {
	q := url.Values{"_txlock": {"immediate"}, "_pragma": {"journal_mode(WAL)", "synchronous(FULL)", "busy_timeout(10000)"}}
	db, err := sql.Open("sqlite", "file:"+(&url.URL{Path: file}).EscapedPath()+"?"+q.Encode())
	if err == nil {
		db.SetMaxOpenConns(most)
		db.SetMaxIdleConns(most)
	}
	return db, err
}

// Session is the name of the broker's session that belongs to this database.
func (m *Memory) Session() string { return "ratchet-serve-" + m.session }

// once gives the value that is kept by a name, which is otherwise if it is new.
func (m *Memory) once(ctx context.Context, name, otherwise string) (value string, err error) {
	if _, err = m.write.ExecContext(ctx, "INSERT INTO meta VALUES (?, ?) ON CONFLICT DO NOTHING", name, otherwise); err == nil {
		err = m.write.QueryRowContext(ctx, "SELECT value FROM meta WHERE name = ?", name).Scan(&value)
	}
	return value, err
}

// Close closes the database.
func (m *Memory) Close() error {
	var errs []error
	for _, db := range []*sql.DB{m.read, m.write} {
		if db != nil {
			errs = append(errs, db.Close())
		}
	}
	return errors.Join(append(errs, m.lock.Close())...)
}

// explain says what to do about an error of the database.
func explain(err error) error {
	var e *sqlite.Error
	if !errors.As(err, &e) {
		return err
	}
	advice := map[int]string{
		lib.SQLITE_FULL:     "the disk is full: make room; what comes waits at the broker meanwhile",
		lib.SQLITE_NOTADB:   "this is no database: name another file",
		lib.SQLITE_CORRUPT:  "the database is damaged: move it away; what the broker retains is read again",
		lib.SQLITE_READONLY: "it cannot be written: check who owns the file and its folder",
		lib.SQLITE_CANTOPEN: "it cannot be opened: check who owns the file and its folder",
	}[e.Code()&0xff]
	return fmt.Errorf("%w (%s)", err, cmp.Or(advice, "see the code of SQLite"))
}
