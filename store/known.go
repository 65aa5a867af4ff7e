package store

// Known tells whether the id was used, and by which document; the digest is
// empty where only the id is known.
func (db *DB) Known(key string) (digest string, known bool, err error) {
	return db.digest(key)
}
