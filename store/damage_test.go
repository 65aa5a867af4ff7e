package store

import (
	"errors"
	"fmt"
	"math/rand/v2"
	"os"
	"path/filepath"
	"strings"
	"testing"
	"time"

	bolt "go.etcd.io/bbolt"

	"github.com/ratchetd/ratchet/executor"
)

// populated returns the bytes of a journal with several pages of all sorts.
func populated(t testing.TB) []byte {
	t.Helper()
	db := open(t, Options{pageSize: 1024, MaxSize: 1 << 20})
	for i := range 30 {
		r := accept(t, db, job(t, fmt.Sprintf("job-%02d", i), 3, ""))
		r = boundary(boundary(r, 0), 1)
		mustPut(t, db, r)
		if i > 3 {
			finish(t, db, r, executor.Succeeded)
		}
	}
	for _, err := range []error{db.Cancel("job-00", time.Time{}), db.Cancel("never-came", time.Time{}), db.Set("due", []byte("1")), keepSamples(db, []byte("sample"))} {
		if err != nil {
			t.Fatal(err)
		}
	}
	if _, err := db.Prune(noon, History{Count: 10}); err != nil {
		t.Fatal(err)
	}
	if err := db.Close(); err != nil {
		t.Fatal(err)
	}
	data, err := os.ReadFile(filepath.Join(filepath.Dir(db.lock.Name()), fileName))
	if err != nil {
		t.Fatal(err)
	}
	return data
}

// lay puts a file where the journal would be.
func lay(t testing.TB, data []byte) (dir, path string) {
	t.Helper()
	dir = t.TempDir()
	path = filepath.Join(dir, fileName)
	if err := os.WriteFile(path, data, 0o600); err != nil {
		t.Fatal(err)
	}
	return dir, path
}

func foreign(t testing.TB, fill func(*bolt.Tx) error) []byte {
	t.Helper()
	path := filepath.Join(t.TempDir(), "foreign.db")
	b, err := bolt.Open(path, 0o600, &bolt.Options{NoFreelistSync: true})
	if err != nil {
		t.Fatal(err)
	}
	if err := errors.Join(b.Update(fill), b.Close()); err != nil {
		t.Fatal(err)
	}
	data, err := os.ReadFile(path)
	if err != nil {
		t.Fatal(err)
	}
	return data
}

func TestAnUnusableFileIsSetAside(t *testing.T) {
	good := populated(t)
	zeroed := func(from, to int) []byte {
		data := append([]byte(nil), good...)
		clear(data[from:to])
		return data
	}
	random := make([]byte, 64<<10)
	source := rand.New(rand.NewPCG(1, 2))
	for i := range random {
		random[i] = byte(source.Uint32())
	}
	files := map[string][]byte{
		"empty":                 {},
		"one byte":              {0},
		"text":                  []byte("this is no database\n"),
		"random bytes":          random,
		"zeros":                 make([]byte, 64<<10),
		"cut to one page":       good[:1024],
		"cut in half":           good[:len(good)/2],
		"both meta pages zero":  zeroed(0, 2048),
		"all but the meta zero": zeroed(2048, len(good)),
		"another's database": foreign(t, func(tx *bolt.Tx) error {
			_, err := tx.CreateBucket([]byte("users"))
			return err
		}),
		"another's nested database": foreign(t, func(tx *bolt.Tx) error {
			b, err := tx.CreateBucket([]byte("users"))
			if err == nil {
				_, err = b.CreateBucket([]byte("more"))
			}
			return err
		}),
	}
	for name, data := range files {
		t.Run(name, func(t *testing.T) {
			dir, path := lay(t, data)
			db := openAt(t, dir, Options{})
			if got := db.Broken(); !strings.Contains(got, "ratchet.db.broken") {
				t.Errorf("Broken() = %q, want it to name the file", got)
			}
			if !db.New() {
				t.Error("the journal is not new, so it would not read back its past")
			}
			if got, err := os.ReadFile(path + ".broken"); string(got) != string(data) || err != nil {
				t.Errorf("the file that was set aside has %d bytes (%v), want the %d of before", len(got), err, len(data))
			}
			accept(t, db, job(t, "j1", 1, ""))
			reopen(t, db)
		})
	}
}

func TestOneBrokenFileIsKept(t *testing.T) {
	dir, path := lay(t, []byte("first"))
	openAt(t, dir, Options{}).Close()
	if err := os.WriteFile(path, []byte("second"), 0o600); err != nil {
		t.Fatal(err)
	}
	openAt(t, dir, Options{}).Close()
	if got, err := os.ReadFile(path + ".broken"); string(got) != "second" || err != nil {
		t.Errorf("got %q, %v, want the second", got, err)
	}
	if left, _ := filepath.Glob(path + "*"); len(left) != 2 {
		t.Errorf("got %v, want the journal and one broken file", left)
	}
}

// Every change to a file must end in a journal that works, the one that was there
// or a new one; bbolt alone would panic on many. A crash here ends the test.
func TestNoDamageStopsTheAgent(t *testing.T) {
	good := populated(t)
	source := rand.New(rand.NewPCG(3, 4))
	aside := 0
	for range 200 {
		data := append([]byte(nil), good...)
		switch at := source.IntN(len(data) / 1024); source.IntN(3) {
		case 0:
			copy(data[at*1024:], good[source.IntN(len(data)/1024)*1024:][:1024])
		case 1: // in the heads and entries of a page
			data[at*1024+source.IntN(80)] ^= 1 << source.IntN(8)
		default:
			data[source.IntN(len(data))] = byte(source.Uint32())
		}
		if survives(t, data) {
			aside++
		}
	}
	if aside < 25 || aside > 175 {
		t.Errorf("%d of 200 were set aside: the damage is too harmless or too great to show anything", aside)
	}
}

// survives opens the file, uses all of it, and reports whether it was set aside.
func survives(t testing.TB, data []byte) bool {
	t.Helper()
	dir, _ := lay(t, data)
	db, err := Open(dir, Options{MaxSize: 1 << 20})
	if err != nil {
		t.Fatal(err)
	}
	defer db.Close()
	records, err := db.Records()
	if err != nil {
		t.Fatal(err)
	}
	for _, r := range records {
		if !r.State.Final() {
			r.Rev, r.State = r.Rev+1, executor.Failed
			mustPut(t, db, r)
		}
		db.Told(r.Key, r.Rev)
	}
	if _, err := db.Accept(job(t, "new-one", 3, "")); err != nil {
		t.Fatal(err)
	}
	if _, err := db.Prune(noon.AddDate(1, 0, 0), History{Count: 1, Seen: map[string]bool{}}); err != nil {
		t.Fatal(err)
	}
	for _, err := range []error{db.Cancel("another", time.Time{}), keepSamples(db, []byte("x")), dropSamples(db, 9), db.Set("due", nil)} {
		if err != nil {
			t.Fatal(err)
		}
	}
	return db.Broken() != ""
}

// The rules by which a file is judged must not be stricter than bbolt.
func TestWhateverIsWrittenPassesTheInspection(t *testing.T) {
	db := open(t, Options{pageSize: 1024, MaxSize: 1 << 20})
	path := filepath.Join(filepath.Dir(db.lock.Name()), fileName)
	source := rand.New(rand.NewPCG(5, 6))
	for i := range 600 {
		more := fmt.Sprintf(`"description":%q,`, strings.Repeat("x", source.IntN(3000)))
		r := accept(t, db, job(t, fmt.Sprintf("%d-%d", source.IntN(1000), i), 1+source.IntN(5), more))
		if source.IntN(4) > 0 {
			r = boundary(r, 0)
			r.Steps[0].Output = strings.Repeat("o", source.IntN(4000))
			mustPut(t, db, r)
		}
		if source.IntN(10) > 0 {
			finish(t, db, r, executor.Succeeded)
		}
		if source.IntN(8) == 0 {
			h := History{Count: 1 + source.IntN(30), Seen: map[string]bool{}}
			if _, err := db.Prune(noon.AddDate(0, source.IntN(5), 0), h); err != nil {
				t.Fatal(err)
			}
		}
		if _, err := inspect(path); err != nil {
			t.Fatalf("after job %d: %v", i, err)
		}
		for _, r := range must(db.Unfinished()) {
			if source.IntN(10) == 0 {
				finish(t, db, r, executor.Failed)
			}
		}
	}
}

func must(records []executor.Record, err error) []executor.Record {
	if err != nil {
		panic(err)
	}
	return records
}

func FuzzDamagedFile(f *testing.F) {
	good := populated(f)
	f.Add(uint32(40), byte(1), uint32(2056), byte(2))
	f.Fuzz(func(t *testing.T, at1 uint32, b1 byte, at2 uint32, b2 byte) {
		data := append([]byte(nil), good...)
		data[int64(at1)%int64(len(data))] = b1
		data[int64(at2)%int64(len(data))] = b2
		survives(t, data)
	})
}
