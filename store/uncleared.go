package store

import (
	"slices"
	"strings"
)

const (
	unclearedName = "withdrawn"
	mostUncleared = 256 // ids; of more the oldest are dropped
)

// Uncleared lists the ids of withdrawn jobs of which somebody may still hold a status.
func (db *DB) Uncleared() []string {
	db.mu.Lock()
	defer db.mu.Unlock()
	return slices.Clone(db.uncleared)
}

// Cleared notes that nobody holds a status of the id any more. It does not block, touches
// no disk, and is durable with the next commit.
func (db *DB) Cleared(id string) {
	db.mu.Lock()
	defer db.mu.Unlock()
	if slices.Contains(db.uncleared, id) {
		db.keepUncleared(slices.DeleteFunc(slices.Clone(db.uncleared), func(s string) bool { return s == id }))
	}
}

// unclear notes with the next commit that the id's status is to be cleared.
func (db *DB) unclear(id string) {
	db.mu.Lock()
	defer db.mu.Unlock()
	if !slices.Contains(db.uncleared, id) {
		list := append(slices.Clone(db.uncleared), id)
		db.keepUncleared(list[max(0, len(list)-mostUncleared):])
	}
}

// keepUncleared is for who holds db.mu.
func (db *DB) keepUncleared(list []string) {
	db.uncleared = list
	if db.values == nil {
		db.values = map[string][]byte{}
	}
	db.values[unclearedName] = []byte(strings.Join(list, "\n"))
}

func (db *DB) loadUncleared(saved []byte) { db.uncleared = strings.Fields(string(saved)) }
