package upload

import (
	"bytes"
	"crypto/sha256"
	"hash"
	"io"
	"os"
	"sync"
)

// body is a file on its way. The HTTP client may still read it when the answer
// is there, so it can be ended from outside.
type body struct {
	mu   sync.Mutex
	file *os.File // nil when it is ended
	size int64
	want []byte // its sha256
	sum  hash.Hash
	sent int64
	tell func(sent int64)
	err  error
}

func newBody(file *os.File, size int64, sum []byte, tell func(int64)) *body {
	return &body{file: file, size: size, want: sum, sum: sha256.New(), tell: tell}
}

// Read keeps back the end of a file that is not what was announced: a server
// must not take for whole what is not.
func (b *body) Read(p []byte) (int, error) {
	b.mu.Lock()
	defer b.mu.Unlock()
	switch {
	case b.file == nil:
		return 0, os.ErrClosed
	case b.sent == b.size:
		return 0, io.EOF
	}
	n, err := b.file.Read(p[:min(int64(len(p)), b.size-b.sent)])
	b.sum.Write(p[:n])
	if n == 0 && err == io.EOF || b.sent+int64(n) == b.size && !bytes.Equal(b.sum.Sum(nil), b.want) {
		b.err = errChanged
		return 0, errChanged
	}
	b.sent += int64(n)
	b.tell(b.sent)
	return n, err
}

// Close is called by the client, at any time.
func (b *body) Close() error { return nil }

// end ends it, once, and returns what was wrong with the file.
func (b *body) end() error {
	b.mu.Lock()
	defer b.mu.Unlock()
	_ = b.file.Close() // it was only read
	b.file = nil
	return b.err
}
