package policy

import "io"

// lookEvery is how many bytes come between two looks at the disk.
const lookEvery = 256 << 10

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
	r.Done += int64(len(p))
	if err := r.Policy.grows(r.Dir, r.Done, len(p), &r.due); err != nil {
		return 0, err
	}
	return r.W.Write(p)
}

// Reader is Writer for what reads: a file that is copied may grow meanwhile.
type Reader struct {
	R      io.Reader
	Dir    string // on the disk that it is copied to
	Policy Policy
	done   int64
	due    int
}

// Read implements io.Reader.
func (r *Reader) Read(p []byte) (int, error) {
	if r.done == 0 { // that what was there at first has room was judged before
		r.due = lookEvery
	}
	n, err := r.R.Read(p)
	r.done += int64(n)
	if denied := r.Policy.grows(r.Dir, r.done, n, &r.due); denied != nil && n > 0 {
		return 0, denied
	}
	return n, err
}

// grows says why a file may not grow by n bytes to done, or nil. due counts down to
// the next look at the disk.
func (p Policy) grows(dir string, done int64, n int, due *int) error {
	if err := p.Size(done); err != nil {
		return err
	}
	if *due -= n; *due > 0 {
		return nil
	}
	*due = lookEvery
	return p.Room(dir, lookEvery)
}
