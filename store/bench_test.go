package store

import (
	"fmt"
	"os"
	"os/exec"
	"path/filepath"
	"strconv"
	"strings"
	"testing"

	bolt "go.etcd.io/bbolt"
	"golang.org/x/sys/unix"

	"github.com/ratchetd/ratchet/executor"
)

// The three benchmarks stand beside each other: what a step boundary costs, what
// bbolt costs for a value of that size, and what the disk costs. As root they
// run on a file system of their own and report what reached its block device.

func BenchmarkBoundary(b *testing.B) {
	for _, c := range []struct{ page, known int }{{4096, 0}, {4096, 100}, {2048, 0}, {1024, 0}, {1024, 100}} {
		b.Run(fmt.Sprintf("page=%d/known=%d", c.page, c.known), func(b *testing.B) {
			d := newDisk(b)
			db := openAt(b, d.dir, Options{pageSize: c.page})
			for i := range c.known {
				finish(b, db, accept(b, db, job(b, fmt.Sprintf("known-%d", i), 3, "")), executor.Succeeded)
			}
			var r executor.Record
			d.measure(b, func(n int) {
				if n%10 == 0 {
					r = nextJob(b, db, r, n)
				}
				r = boundary(r, n%10)
				db.Told(r.Key, r.Rev-1)
			}, func(int) { mustPut(b, db, r) })
		})
	}
}

// nextJob ends the job r, if there is one, and accepts another of ten steps.
func nextJob(b *testing.B, db *DB, r executor.Record, n int) executor.Record {
	if r.Key != "" {
		finish(b, db, r, executor.Succeeded)
	}
	if _, err := db.Prune(noon, History{}); err != nil {
		b.Fatal(err)
	}
	return accept(b, db, job(b, fmt.Sprintf("job@%d", n), 10, ""))
}

func BenchmarkBareUpdate(b *testing.B) {
	d := newDisk(b)
	db, err := bolt.Open(filepath.Join(d.dir, "bare.db"), 0o600, nil)
	if err != nil {
		b.Fatal(err)
	}
	defer db.Close()
	value := make([]byte, 1024)
	d.measure(b, nothing, func(n int) {
		err := db.Update(func(tx *bolt.Tx) error {
			bucket, err := tx.CreateBucketIfNotExists([]byte("b"))
			if err != nil {
				return err
			}
			value[0] = byte(n)
			return bucket.Put([]byte("key"), value)
		})
		if err != nil {
			b.Fatal(err)
		}
	})
}

func BenchmarkRawAppend(b *testing.B) {
	d := newDisk(b)
	f, err := os.Create(filepath.Join(d.dir, "log"))
	if err != nil {
		b.Fatal(err)
	}
	defer f.Close()
	value := make([]byte, 1024)
	d.measure(b, nothing, func(int) {
		if _, err := f.Write(value); err != nil {
			b.Fatal(err)
		}
		if err := unix.Fdatasync(int(f.Fd())); err != nil {
			b.Fatal(err)
		}
	})
}

// A testDisk is where a benchmark writes; stat is empty where it is not its own.
type testDisk struct{ dir, stat string }

func newDisk(b *testing.B) testDisk {
	dir, err := mountImage(b, 64<<20)
	if err != nil {
		b.Logf("no device figures: %v", err)
		return testDisk{dir: b.TempDir()}
	}
	var st unix.Stat_t
	if err := unix.Stat(dir, &st); err != nil {
		b.Fatal(err)
	}
	return testDisk{dir, fmt.Sprintf("/sys/dev/block/%d:%d/stat", unix.Major(uint64(st.Dev)), unix.Minor(uint64(st.Dev)))}
}

// mountImage mounts a new ext4 of that size.
func mountImage(t testing.TB, size int64) (string, error) {
	image, dir := filepath.Join(t.TempDir(), "image"), t.TempDir()
	if err := os.WriteFile(image, nil, 0o600); err != nil {
		return "", err
	}
	if err := os.Truncate(image, size); err != nil {
		return "", err
	}
	for _, argv := range [][]string{{"mkfs.ext4", "-q", "-b", "4096", image}, {"mount", "-o", "loop,noatime", image, dir}} {
		if out, err := exec.Command(argv[0], argv[1:]...).CombinedOutput(); err != nil {
			return "", fmt.Errorf("%s: %w: %s", argv[0], err, out)
		}
	}
	t.Cleanup(func() { _ = exec.Command("umount", dir).Run() })
	return dir, nil
}

func nothing(int) {}

// measure runs op, after prepare, and reports what the device saw of it.
func (d testDisk) measure(b *testing.B, prepare, op func(n int)) {
	var bytes, flushes uint64
	b.ResetTimer()
	b.StopTimer()
	for n := range b.N {
		prepare(n)
		before, flushed := d.counters(b)
		b.StartTimer()
		op(n)
		b.StopTimer()
		after, now := d.counters(b)
		bytes, flushes = bytes+after-before, flushes+now-flushed
	}
	if d.stat != "" {
		b.ReportMetric(float64(bytes)/float64(b.N), "devB/op")
		b.ReportMetric(float64(flushes)/float64(b.N), "flushes/op")
	}
}

// counters reads how many bytes the device has written and how often it flushed.
func (d testDisk) counters(b *testing.B) (bytes, flushes uint64) {
	if d.stat == "" {
		return 0, 0
	}
	text, err := os.ReadFile(d.stat)
	if err != nil {
		b.Fatal(err)
	}
	f := strings.Fields(string(text))
	sectors, _ := strconv.ParseUint(f[6], 10, 64)
	flushes, _ = strconv.ParseUint(f[15], 10, 64)
	return sectors * 512, flushes
}
