// Package store is the journal: what the device durably knows about its jobs,
// in one bbolt file. It is the only package that knows bbolt. It takes no
// decision about a job: it keeps Records, says which ids are known, and
// forgets what may be forgotten. It reads no clock for that but the one given.
//
// DB has many methods, and its files need one another, because there is one thing
// here: a file, a picture of it in RAM, and one lock under which both change with
// the same commit. Types of their own for jobs, cancels, samples and small values
// would each need that lock and that commit. A file holds what belongs to one
// question instead: accept.go, write.go (Put), read.go, cancel.go, prune.go,
// readback.go, samples.go, marks.go; below them entry.go says how a Record is
// encoded, load.go builds the picture, and file.go, inspect.go and mount.go open
// the file on whatever flash it lies.
//
// The file is <dir>/ratchet.db; <dir>/lock keeps other agents out. Buckets:
//
//	meta     level    schema level, "1"
//	         new      present until ReadBack was called: "1", or "2" of one that was older
//	         floor    the time floor, unix seconds
//	         id       made with the file; a copy has the same
//	         commits  how many there were, 8 bytes
//	         read     what stood in the place of this journal, and was read back: its
//	                  commits (8 bytes) and its id
//	jobs     KEY 00 step(2) o|r    output or result of a step
//	         KEY 01                rev that was told (8 bytes), then the Record's small state as JSON
//	past     as jobs, for Records that are final
//	texts    KEY 00 piece(2)       the document's exact text, in pieces
//	ids      KEY      what is left of a pruned Record, as JSON
//	cancels  KEY      when the cancel came, unix seconds
//	         KEY 00   when it was signed, if it was
//	marks    NAME     small values of the agent's: when a schedule was last due,
//	         or which statuses of withdrawn jobs are still to be cleared
//	samples  SEQ      telemetry that waits to be sent
//
// Numbers are big-endian. bbolt writes whole leaves and all that is above them,
// so a step boundary costs least where few keys lie: it touches jobs alone, whose
// one leaf holds what is unfinished, and meta, which is so small that bbolt keeps
// it in its root page. A long text beside them would be written in every commit,
// and as one value it would be written again with its neighbours in texts.
// Of a job's keys the state is the last, so it shares a leaf with the newest
// outputs, not with the oldest. Within a schema level only optional JSON fields
// are added: the old agent must read the file after a new one was taken back.
package store

import (
	"cmp"
	"errors"
	"fmt"
	"io/fs"
	"log/slog"
	"os"
	"path/filepath"
	"sync"
	"time"

	bolt "go.etcd.io/bbolt"
)

// Options are for Open; the zero value is useful.
type Options struct {
	// MaxSize bounds the database file; it is rounded up to a power of two, at
	// least 64 KiB. 0: what suits the file system, see mount.go.
	MaxSize int64
	Now     func() time.Time // nil: time.Now
	Log     *slog.Logger     // nil: silent

	pageSize int // for tests; 0: what suits the file system
}

// DB is an open journal. All methods may be called from several goroutines. Those
// that write are durable when they return, except where they say otherwise.
type DB struct {
	bolt   *bolt.DB
	path   string
	file   os.FileInfo // of what was opened at path
	lost   chan struct{}
	lock   *os.File
	max    int64
	now    func() time.Time
	broken string

	write sync.Mutex // held from a decision to its commit, so that each decision sees the one before

	mu        sync.Mutex            // guards the rest; never held during I/O
	jobs      map[string]standing   // of the buckets jobs and past, by key
	ids       int                   // ids that are known, those of firings aside
	told      map[string]uint64     // told marks that wait for a commit
	values    map[string][]byte     // small values that do
	uncleared []string              // Uncleared
	cancels   map[string]cancelMark // of the bucket cancels
	early     allowance
	floor     int64  // the time floor, which waits for a commit too
	isNew     bool   // New
	older     bool   // Older
	mark      Mark   // Mark
	opened    uint64 // its commits when the file was opened
	// Before it was compared: commits of wills, of this connection and of those before.
	compared        bool
	willed, excused uint64
	instead         Mark // the journal of another id whose past was read back
	commits         uint64
}

// A standing is what RAM knows of a Record.
type standing struct {
	seq, rev, told uint64
	opened         uint64 // rev when the file was opened; 0: it came since
	signed         int64  // unix seconds, or 0
	final          bool
}

// Open opens the journal in dir, which it creates where needed. A file that cannot
// be used is set aside and a new journal begun, see Broken. Open waits up to ten
// seconds for another agent to release the directory.
func Open(dir string, o Options) (*DB, error) {
	if err := os.MkdirAll(dir, 0o700); err != nil {
		return nil, fmt.Errorf("making the directory: %w", err)
	}
	lock, err := takeLock(filepath.Join(dir, "lock"))
	if err != nil {
		return nil, err
	}
	db := &DB{path: filepath.Join(dir, fileName), lost: make(chan struct{}), lock: lock, now: o.Now}
	if db.now == nil {
		db.now = time.Now
	}
	if err := db.open(dir, o); err != nil {
		_ = db.Close()
		return nil, err
	}
	return db, nil
}

func (db *DB) open(dir string, o Options) error {
	log := o.Log
	if log == nil {
		log = slog.New(slog.DiscardHandler)
	}
	g := geometryOf(dir)
	g.pageSize = cmp.Or(o.pageSize, g.pageSize)
	g.maxSize = powerOfTwo(cmp.Or(o.MaxSize, g.maxSize))
	db.max = g.maxSize
	path := db.path
	err := db.openExisting(path, g, log)
	if errors.Is(err, errUnusable) {
		err = db.setAside(path, err)
	}
	if errors.Is(err, fs.ErrNotExist) {
		return db.create(path, g)
	}
	return err
}

// openExisting opens the file that is there. An error that is errUnusable says that no
// agent of this version ever can; any other, such as no memory, may pass.
func (db *DB) openExisting(path string, g geometry, log *slog.Logger) error {
	found, err := inspect(path)
	if err != nil {
		return err
	}
	if found.mostlyFree() {
		if err := compact(path, g); err != nil {
			log.Warn("compacting the journal did not work; it stays as it is", "err", err)
		}
	}
	if db.bolt, db.file, err = openMapped(path, g); err != nil {
		return fmt.Errorf("opening the journal: %w", err)
	}
	if err := db.load(); err != nil {
		return err
	}
	db.nameOld(log)
	return db.failUnreadable()
}

// setAside moves an unusable file out of the way; one of each sort is kept. Then
// there is no journal, so it returns fs.ErrNotExist.
func (db *DB) setAside(path string, why error) error {
	if db.bolt != nil {
		_ = db.bolt.Close()
	}
	aside := path + ".broken"
	if l := levelError(0); errors.As(why, &l) {
		aside = fmt.Sprintf("%s.level%d", path, l)
	}
	if err := os.Rename(path, aside); err != nil {
		return fmt.Errorf("setting the unusable journal aside: %w", err)
	}
	db.broken = fmt.Sprintf("%v: the file is now %s, and a new journal was begun", why, filepath.Base(aside))
	return fs.ErrNotExist
}

func (db *DB) create(path string, g geometry) error {
	if err := seed(path, g); err != nil {
		return fmt.Errorf("making a new journal: %w", err)
	}
	var err error
	if db.bolt, db.file, err = openMapped(path, g); err != nil {
		return fmt.Errorf("opening the new journal: %w", err)
	}
	return db.load()
}

// Close closes the journal. What waits for a commit is lost. It may be called twice.
func (db *DB) Close() error {
	var err error
	if db.bolt != nil {
		err = db.bolt.Close()
	}
	_ = db.lock.Close()
	return err
}

// Freeze keeps the file as it is: every write blocks until thaw is called. A flash
// of the firmware packs the file while the agent still runs.
func (db *DB) Freeze() (thaw func()) {
	db.write.Lock()
	return sync.OnceFunc(db.write.Unlock)
}

// AwaitCommit blocks until the commit that is under way has ended.
func (db *DB) AwaitCommit() {
	db.write.Lock()
	defer db.write.Unlock()
}

// Broken is why the file that Open found was set aside, or empty.
func (db *DB) Broken() string { return db.broken }

// Commits is how many commits there were since Open: each wears the flash.
func (db *DB) Commits() uint64 {
	db.mu.Lock()
	defer db.mu.Unlock()
	return db.commits
}

// Room is how many bytes of the database are in use, and its bound.
func (db *DB) Room() (used, bound int64) {
	_ = db.bolt.View(func(tx *bolt.Tx) error {
		s := db.bolt.Stats()
		used = tx.Size() - int64(s.FreePageN+s.PendingPageN)*int64(tx.DB().Info().PageSize)
		return nil
	})
	return used, db.max
}
