package policy

import (
	"io"
)

// Writer writes to a file of unknown size and stops before the disk is full, for
// the rest of the device needs it too, and where the policy says so.
type Writer struct {
	W      io.Writer
	Dir    string // on the same disk
	Policy Policy
	Done   int64 // bytes that were written
	due    int   // bytes until the next look at the disk
}

// Write implements io.Writer.
func (r *Writer) Write(p []byte) (int, error) {
	const every = 256 << 10
	r.Done += int64(len(p))
	if err := r.Policy.Size(r.Done); err != nil {
		return 0, err
	}
	if r.due -= len(p); r.due <= 0 {
		r.due = every
		if err := r.Policy.Room(r.Dir, every); err != nil {
			return 0, err
		}
	}
	return r.W.Write(p)
}
