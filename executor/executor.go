// Package executor gives a job its meaning: the document (Job, Step), what the
// device durably knows about it (Record), and the loop that turns one Record
// into the next until it is final. Resuming after a power cut is the same loop
// on the Record found on disk.
//
// It knows no broker, no database and no kind of step: those come in as a
// Journal and as Kinds.
package executor

import (
	"crypto/sha256"
	"encoding/hex"
	"time"
)

// Digest is the sha256 of a document's exact text, in lower-case hex.
func Digest(text []byte) string {
	sum := sha256.Sum256(text)
	return hex.EncodeToString(sum[:])
}

// stamp cuts a moment to what documents and reports hold; a zero one stays so.
func stamp(t time.Time) Time {
	if t.IsZero() {
		return Time{}
	}
	return Time{t.UTC().Truncate(time.Second)}
}
