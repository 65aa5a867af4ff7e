package store

import (
	"errors"
	"os"
	"path/filepath"
	"strings"
	"testing"

	bolt "go.etcd.io/bbolt"

	"github.com/ratchetd/ratchet/executor"
)

func TestANewerJournalIsKeptForTheNewerAgent(t *testing.T) {
	db := open(t, Options{})
	dir := filepath.Dir(db.lock.Name())
	err := db.bolt.Update(func(tx *bolt.Tx) error { return tx.Bucket(bucketMeta).Put(keyLevel, []byte("2")) })
	if err := errors.Join(err, db.Close()); err != nil {
		t.Fatal(err)
	}
	db = openAt(t, dir, Options{})
	if got := db.Broken(); !strings.Contains(got, "newer agent") || !strings.Contains(got, "ratchet.db.level2") {
		t.Errorf("Broken() = %q, want it to say so", got)
	}
	if _, err := os.Stat(filepath.Join(dir, "ratchet.db.level2")); err != nil {
		t.Error(err)
	}
}

func TestFieldsOfANewerAgentAreTaken(t *testing.T) {
	db := open(t, Options{})
	accept(t, db, job(t, "j1", 1, ""))
	err := db.bolt.Update(func(tx *bolt.Tx) error {
		b, v := bucketOf(tx, "j1")
		return b.Put(stateKey("j1"), append(v[:len(v)-1:len(v)-1], `,"later":{"a":1}}`...))
	})
	if err != nil {
		t.Fatal(err)
	}
	if got, want := ids(reopen(t, db).Unfinished()), "j1"; got != want {
		t.Errorf("got %q, want %q", got, want)
	}
}

func TestAJobWhoseDocumentIsLostEndsAsFailed(t *testing.T) {
	for name, text := range map[string]string{
		"damaged": `{"id":"j1","steps":[{"name":"s0","command":{"argv":["rm"]}}]}`,
		"newer":   `{"id":"j1","api":2,"steps":[{"name":"s0","command":{"argv":["true"]}}]}`,
	} {
		t.Run(name, func(t *testing.T) {
			db := open(t, Options{})
			r := job(t, "j1", 1, "")
			if name == "newer" {
				r.Digest = executor.Digest([]byte(text))
			}
			accept(t, db, r)
			db.Told("j1", 1)
			err := db.bolt.Update(func(tx *bolt.Tx) error { return tx.Bucket(bucketTexts).Put(partKey("j1", 0), []byte(text)) })
			if err != nil {
				t.Fatal(err)
			}
			db = reopen(t, db)
			if got := ids(db.Unfinished()); got != "" {
				t.Errorf("unfinished: got %q, want none", got)
			}
			got := record(t, db, "j1")
			if got.State != executor.Failed || got.Rev != 2 || !strings.HasPrefix(got.Reason, "journal: ") {
				t.Errorf("got %s, rev %d, %q", got.State, got.Rev, got.Reason)
			}
			if got, want := ids(db.Untold()), "j1"; got != want {
				t.Errorf("untold: got %q, want %q", got, want)
			}
		})
	}
}
