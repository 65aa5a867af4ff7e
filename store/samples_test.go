package store

import (
	"bytes"
	"testing"
)

func TestSamplesWaitInOrder(t *testing.T) {
	db := open(t, Options{})
	before := db.Commits()
	for _, batch := range [][][]byte{{[]byte("a"), []byte("b")}, {}, {[]byte("c")}} {
		if err := keepSamples(db, batch...); err != nil {
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
	before = db.Commits()
	seqs, err := db.SwapSamples([]uint64{all[0].Seq, all[1].Seq}, []byte("d"))
	if err != nil {
		t.Fatal(err)
	}
	if got := db.Commits() - before; got != 1 {
		t.Errorf("forgetting some and keeping another: got %d commits, want 1", got)
	}
	db = reopen(t, db)
	if got, want := joined(samples(t, db)), "cd"; got != want {
		t.Errorf("got %q, want %q", got, want)
	}
	for seq, want := range map[uint64]string{seqs[0]: "d", all[0].Seq: ""} {
		if got, err := db.Sample(seq); string(got) != want || err != nil {
			t.Errorf("sample %d: got %q, %v, want %q", seq, got, err, want)
		}
	}
}

// Deleting leaves empty pages until the commit, in which bbolt can get lost.
func TestAllSamplesCanBeForgottenAtOnce(t *testing.T) {
	db := open(t, Options{MaxSize: 1 << 20})
	for _, last := range [][][]byte{{}, {[]byte("one more")}} {
		var many [][]byte
		for range 60 {
			many = append(many, make([]byte, 1000))
		}
		seqs, err := db.SwapSamples(nil, many...)
		if err != nil {
			t.Fatal(err)
		}
		if _, err := db.SwapSamples(seqs, last...); err != nil {
			t.Fatal(err)
		}
		if db = reopen(t, db); len(samples(t, db)) != len(last) {
			t.Errorf("got %d samples, want %d", len(samples(t, db)), len(last))
		}
	}
}

func TestTheOldestSamplesMakeRoom(t *testing.T) {
	db := open(t, Options{MaxSize: 1 << 20}) // 64 KiB of it for samples
	for i := range 100 {
		if err := keepSamples(db, bytes.Repeat([]byte{byte(i)}, 1000)); err != nil {
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
	if err := keepSamples(db, make([]byte, 100<<10)); err != nil {
		t.Fatal(err)
	}
	if got := len(samples(t, db)); got != 0 {
		t.Errorf("after one that is too long: got %d samples, want none", got)
	}
}

func keepSamples(db *DB, data ...[]byte) error {
	_, err := db.SwapSamples(nil, data...)
	return err
}

func dropSamples(db *DB, seqs ...uint64) error {
	_, err := db.SwapSamples(seqs)
	return err
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
