package store

import (
	"bytes"
	"testing"
)

func TestSamplesWaitInOrder(t *testing.T) {
	db := open(t, Options{})
	before := db.Commits()
	for _, batch := range [][][]byte{{[]byte("a"), []byte("b")}, {}, {[]byte("c")}} {
		if err := db.PutSamples(batch...); err != nil {
			t.Fatal(err)
		}
	}
	if got := db.Commits() - before; got != 2 {
		t.Errorf("got %d commits, want 2", got)
	}
	db = reopen(t, db)
	all := samples(t, db)
	if got, want := joined(all), "abc"; got != want {
		t.Errorf("got %q, want %q", got, want)
	}
	for _, want := range []uint64{1, 0} {
		before := db.Commits()
		if err := db.DropSamples(all[1].Seq); err != nil {
			t.Fatal(err)
		}
		if got := db.Commits() - before; got != want {
			t.Errorf("DropSamples: got %d commits, want %d", got, want)
		}
	}
	if err := db.PutSamples([]byte("d")); err != nil {
		t.Fatal(err)
	}
	if got, want := joined(samples(t, reopen(t, db))), "cd"; got != want {
		t.Errorf("got %q, want %q", got, want)
	}
}

func TestTheOldestSamplesMakeRoom(t *testing.T) {
	db := open(t, Options{MaxSize: 1 << 20}) // 64 KiB of it for samples
	for i := range 100 {
		if err := db.PutSamples(bytes.Repeat([]byte{byte(i)}, 1000)); err != nil {
			t.Fatal(err)
		}
	}
	all := samples(t, db)
	if got, want := len(all), 65; got != want {
		t.Errorf("got %d samples, want %d", got, want)
	}
	if got := all[len(all)-1].Data[0]; got != 99 {
		t.Errorf("the last is number %d, want 99", got)
	}
	if err := db.PutSamples(make([]byte, 100<<10)); err != nil {
		t.Fatal(err)
	}
	if got := len(samples(t, db)); got != 0 {
		t.Errorf("after one that is too long: got %d samples, want none", got)
	}
}

func samples(t *testing.T, db *DB) []Sample {
	t.Helper()
	all, err := db.Samples()
	if err != nil {
		t.Fatal(err)
	}
	return all
}

func joined(all []Sample) string {
	var b bytes.Buffer
	for _, s := range all {
		b.Write(s.Data)
	}
	return b.String()
}
