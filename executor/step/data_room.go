package step

import (
	"io"

	"github.com/ratchetd/ratchet/executor/step/safefile"
)

// roomy writes to a file of unknown size and stops before the disk is full, for
// the rest of the device needs it too, and where the policy says so.
type roomy struct {
	w      io.Writer
	dir    string // on the same disk
	policy Policy
	done   int64
	due    int // bytes until the next look at the disk
}

func (r *roomy) Write(p []byte) (int, error) {
	const every = 256 << 10
	r.done += int64(len(p))
	if err := r.policy.Size(r.done); err != nil {
		return 0, err
	}
	if r.due -= len(p); r.due <= 0 {
		r.due = every
		if err := safefile.Headroom(r.dir, every); err != nil {
			return 0, err
		}
	}
	return r.w.Write(p)
}
