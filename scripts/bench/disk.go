package main

import (
	"context"
	"encoding/binary"
	"fmt"
	"os"
	"path/filepath"
	"slices"
	"syscall"

	bolt "go.etcd.io/bbolt"
)

// measureDisk counts what reaches a block device of its own: the kernel's
// per-process counters overstate on file systems with large folios.
func (b *bench) measureDisk(ctx context.Context) error {
	fmt.Print("A step's cost on ext4, as the block device sees it\n\n")
	if os.Getuid() != 0 {
		fmt.Print("Not measured: mounting a file system of our own needs root.\n\n")
		return nil
	}
	v, err := mountVolume(b.dir)
	if err != nil {
		fmt.Printf("Not measured: %v.\n\n", err)
		return nil
	}
	defer v.unmount()
	floor, err := v.perRound(1000, appender(v.path))
	if err != nil {
		return err
	}
	bare, err := v.perRound(1000, updater(v.path))
	if err != nil {
		return err
	}
	step, err := b.perBoundary(ctx, v)
	if err != nil {
		return err
	}
	t := table{{"", "bytes", "flushes", "bytes beside the first", "flushes beside the first"}}
	for _, r := range []struct {
		name string
		demand
	}{{"append of 128 bytes and fdatasync", floor}, {"bbolt Update of 128 bytes", bare}, {"ratchetd, a step's boundary", step}} {
		t = append(t, []string{r.name, fmt.Sprintf("%.0f", r.bytes), fmt.Sprintf("%.2f", r.flushes),
			fmt.Sprintf("%.2f", r.bytes/floor.bytes), fmt.Sprintf("%.2f", r.flushes/floor.flushes)})
	}
	t.print()
	return nil
}

// appender is the least that a durable note costs.
func appender(dir string) func() (func() error, func() error, error) {
	return func() (func() error, func() error, error) {
		f, err := os.Create(filepath.Join(dir, "append"))
		return func() error { return appendSync(f) }, f.Close, err
	}
}

// updater is the least that the journal's library can do.
func updater(dir string) func() (func() error, func() error, error) {
	return func() (func() error, func() error, error) {
		db, err := bolt.Open(filepath.Join(dir, "bare.db"), 0o600, nil)
		if err != nil {
			return nil, nil, err
		}
		n := uint64(0)
		put := func(tx *bolt.Tx) error {
			n++
			bucket, err := tx.CreateBucketIfNotExists([]byte("notes"))
			if err != nil {
				return err
			}
			return bucket.Put(binary.BigEndian.AppendUint64(nil, n%64), make([]byte, 128))
		}
		return func() error { return db.Update(put) }, db.Close, nil
	}
}

// perBoundary runs jobs of many and of few steps: what the many cost more is
// the boundaries' share, without accepting, reporting and ending.
func (b *bench) perBoundary(ctx context.Context, v *volume) (demand, error) {
	const many, few, rounds = 64, 4, 8
	d, err := b.configure("disk", filepath.Join(v.path, "state"))
	if err != nil {
		return demand{}, err
	}
	defer d.end(syscall.SIGTERM)
	if err := d.ready(ctx); err != nil {
		return demand{}, err
	}
	run := func(steps int) (demand, error) {
		before, err := v.demand()
		for i := 0; i < rounds && err == nil; i++ {
			_, err = d.do(ctx, fmt.Sprintf("steps-%d-%d", steps, i), slices.Repeat([]string{noop}, steps)...)
		}
		if err != nil {
			return demand{}, err
		}
		after, err := v.demand()
		return after.less(before), err
	}
	short, err := run(few)
	if err != nil {
		return demand{}, err
	}
	long, err := run(many)
	return long.less(short).by(rounds * (many - few)), err
}
