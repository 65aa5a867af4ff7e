package safefile

import (
	"bytes"
	"context"
	"errors"
	"io"
	"os"
)

// Reader is r until ctx ends; then its error is the cause of ctx.
func Reader(ctx context.Context, r io.Reader) io.Reader { return untilDone{ctx, r} }

type untilDone struct {
	ctx context.Context
	r   io.Reader
}

func (u untilDone) Read(p []byte) (int, error) {
	if u.ctx.Err() != nil {
		return 0, context.Cause(u.ctx)
	}
	return u.r.Read(p)
}

// Equal reports whether two streams hold the same bytes.
func Equal(a, b io.Reader) (bool, error) {
	var bufA, bufB [16 << 10]byte
	for {
		n, errA := io.ReadFull(a, bufA[:])
		m, errB := io.ReadFull(b, bufB[:])
		if !bytes.Equal(bufA[:n], bufB[:m]) {
			return false, nil
		}
		if errA == nil && errB == nil {
			continue
		}
		return true, errors.Join(NotEnd(errA), NotEnd(errB))
	}
}

// NotEnd is err, or nil where it only says that a stream has ended.
func NotEnd(err error) error {
	if errors.Is(err, io.EOF) || errors.Is(err, io.ErrUnexpectedEOF) {
		return nil
	}
	return err
}

// Exists reports whether something is at path, at the end of its links.
func Exists(path string) bool {
	_, err := os.Stat(path)
	return err == nil
}
