package store

import (
	"errors"
	"fmt"
	"os"
	"os/exec"
	"path/filepath"
	"reflect"
	"slices"
	"strings"
	"testing"

	bolt "go.etcd.io/bbolt"
	bolterrors "go.etcd.io/bbolt/errors"

	"github.com/ratchetd/ratchet/executor"
)

// mappings tells, for every map of the journal in this process, whether the
// descriptor it was made from could write: that is the "mw" of smaps.
func mappings(t *testing.T, db *DB) (writable []bool) {
	t.Helper()
	smaps, err := os.ReadFile("/proc/self/smaps")
	if err != nil {
		t.Fatal(err)
	}
	path, mine := filepath.Join(filepath.Dir(db.lock.Name()), fileName), false
	for line := range strings.Lines(string(smaps)) {
		f := strings.Fields(line)
		switch {
		case !strings.HasSuffix(f[0], ":"): // "7f4c5e400000-7f4c5e500000 r--s 00000000 fe:00 1234 /path"
			mine = f[len(f)-1] == path
		case mine && f[0] == "VmFlags:":
			writable = append(writable, slices.Contains(f, "mw"))
		}
	}
	return writable
}

// On JFFS2 a second map, from the descriptor that writes, would fail and leave
// none. There is no JFFS2 here, so this looks at the map itself, in a run that
// fills the file to its bound: it must still be the one of the descriptor that
// only reads.
func TestAFullFileIsNeverMappedAgain(t *testing.T) {
	for _, g := range []geometry{{1 << 10, 1 << 20}, {4 << 10, 1 << 20}} {
		t.Run(fmt.Sprint(g.pageSize), func(t *testing.T) {
			db := open(t, Options{pageSize: g.pageSize, MaxSize: g.maxSize})
			r := accept(t, db, job(t, "j1", 1, ""))
			for _, when := range []string{"after Open", "when full"} {
				if got, want := mappings(t, db), []bool{false}; !slices.Equal(got, want) {
					t.Errorf("%s: maps that may write: got %v, want %v", when, got, want)
				}
				if when == "after Open" {
					fillUp(t, db)
				}
			}
			if got := record(t, db, "j1"); got.State != executor.Queued {
				t.Errorf("when full: read %+v", got)
			}
			if err := dropSamples(db, 1); err != nil {
				t.Errorf("when full: deleting: %v", err)
			}
			err := db.bolt.Update(func(tx *bolt.Tx) error { return tx.DeleteBucket([]byte("ballast")) })
			if err != nil {
				t.Errorf("when full: deleting: %v", err)
			}
			finish(t, db, r, executor.Succeeded)
			db = reopen(t, db)
			finish(t, db, accept(t, db, job(t, "j2", 1, "")), executor.Succeeded)
		})
	}
}

// fillUp writes values of 700 bytes, one a commit, until bbolt refuses.
func fillUp(t *testing.T, db *DB) {
	t.Helper()
	if err := keepSamples(db, []byte("sample")); err != nil {
		t.Fatal(err)
	}
	for i := range 5000 {
		err := db.bolt.Update(func(tx *bolt.Tx) error {
			b, err := tx.CreateBucketIfNotExists([]byte("ballast"))
			if err != nil {
				return err
			}
			return b.Put(number(uint64(i)), make([]byte, 700))
		})
		if errors.Is(err, bolterrors.ErrMaxSizeReached) {
			return
		}
		if err != nil {
			t.Fatalf("value %d: %v, want %v at last", i, err, bolterrors.ErrMaxSizeReached)
		}
	}
	t.Fatal("the file never got full")
}

// The last quarter belongs to the jobs that are in the database already: they
// reach their end however much their steps have to say.
func TestAFullDatabaseRefusesNewJobsAndEndsOldOnes(t *testing.T) {
	db := open(t, Options{pageSize: 1024, MaxSize: 1 << 20})
	long := fmt.Sprintf(`"description":%q,`, strings.Repeat("x", 60<<10))
	var accepted []executor.Record
	for i := 0; ; i++ {
		r := job(t, fmt.Sprintf("job-%d", i), 64, long)
		before := db.Commits()
		v, err := db.Accept(r)
		if err != nil {
			t.Fatal(err)
		}
		if v == NoRoom {
			if got := db.Commits(); got != before {
				t.Error("the refusal cost a commit")
			}
			break
		}
		accepted = append(accepted, record(t, db, r.Key))
	}
	if used, bound := db.Room(); used < bound/4*3 || len(accepted) < 10 {
		t.Errorf("it refused with %d of %d bytes used and %d jobs", used, bound, len(accepted))
	}
	tail := strings.Repeat("output ", 4<<10/7)
	for _, r := range accepted {
		for i := range 64 {
			r = boundary(r, i)
			r.Steps[max(0, i-1)].Output = tail
			mustPut(t, db, r)
		}
		finish(t, db, r, executor.Succeeded)
	}
	db = reopen(t, db)
	if got := ids(db.Unfinished()); got != "" {
		t.Errorf("unfinished: %s", got)
	}
	if _, err := db.Prune(noon, History{}); err != nil {
		t.Fatal(err)
	}
	accept(t, db, job(t, "again-room", 1, ""))
}

func TestAFullDiskRefusesNewJobsAndLosesNothing(t *testing.T) {
	dir := t.TempDir()
	if out, err := exec.Command("mount", "-t", "tmpfs", "-o", "size=400k", "tmpfs", dir).CombinedOutput(); err != nil {
		t.Skipf("a small file system cannot be mounted here: %s", out)
	}
	t.Cleanup(func() { _ = exec.Command("umount", dir).Run() })
	db := openAt(t, dir, Options{})
	r := accept(t, db, job(t, "j1", 64, ""))
	ballast, err := os.Create(filepath.Join(dir, "ballast"))
	for err == nil {
		_, err = ballast.Write(make([]byte, 4096))
	}
	long := fmt.Sprintf(`"description":%q,`, strings.Repeat("x", 60<<10))
	if got, err := db.Accept(job(t, "j2", 1, long)); got != NoRoom || err != nil {
		t.Errorf("Accept = %v, %v, want NoRoom", got, err)
	}
	want := r
	for i := 0; ; i++ {
		next := boundary(want, i)
		next.Steps[max(0, i-1)].Output = strings.Repeat("output ", 4<<10/7)
		if err := db.Put(next); err != nil {
			r = next
			break
		}
		want = next
	}
	if got := record(t, db, "j1"); !reflect.DeepEqual(got, want) {
		t.Errorf("after a Put that failed: got rev %d, want %d", got.Rev, want.Rev)
	}
	if err := errors.Join(ballast.Close(), os.Remove(ballast.Name())); err != nil {
		t.Fatal(err)
	}
	mustPut(t, db, r)
	db = reopen(t, db)
	if got := record(t, db, "j1"); !reflect.DeepEqual(got, r) {
		t.Errorf("after the disk had room again: got rev %d, want %d", got.Rev, r.Rev)
	}
	db.Close()
}

func TestTheFileShrinksWhenItIsMostlyFree(t *testing.T) {
	db := open(t, Options{})
	long := fmt.Sprintf(`"description":%q,`, strings.Repeat("x", 60<<10))
	for i := range 20 {
		finish(t, db, accept(t, db, job(t, fmt.Sprintf("job-%d", i), 1, long)), executor.Succeeded)
	}
	accept(t, db, job(t, "open", 2, ""))
	if _, err := db.Prune(noon, History{Count: 1}); err != nil {
		t.Fatal(err)
	}
	path := filepath.Join(filepath.Dir(db.lock.Name()), fileName)
	size := func() int64 {
		info, err := os.Stat(path)
		if err != nil {
			t.Fatal(err)
		}
		return info.Size()
	}
	before, want := size(), ids(db.Records())
	db = reopen(t, db)
	after := size()
	if after*4 > before {
		t.Errorf("%d bytes became %d, want less than a quarter", before, after)
	}
	if got := ids(db.Records()); got != want {
		t.Errorf("got %q, want %q", got, want)
	}
	accept(t, db, job(t, "next", 1, ""))
	if got := record(t, db, "next").Seq; got != 22 {
		t.Errorf("got Seq %d, want 22: it must not begin again", got)
	}
	info, _ := os.Stat(path)
	reopen(t, db)
	if again, _ := os.Stat(path); !os.SameFile(info, again) {
		t.Error("it was rewritten a second time")
	}
}
