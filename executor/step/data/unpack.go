package data

import (
	"bufio"
	"compress/gzip"
	"errors"
	"fmt"
	"io"
)

// maxUnpacked bounds what one packed file may hold: a few kilobytes can hold so much
// that a board reads them for days.
const maxUnpacked = 1 << 30

// unpacked is the content of the open file, also where that is gzip: its first two
// bytes begin no text.
func (r *records) unpacked() (io.Reader, error) {
	packed := bufio.NewReader(r)
	if start, _ := packed.Peek(2); string(start) != "\x1f\x8b" {
		return packed, nil
	}
	unpack, err := gzip.NewReader(packed)
	if err != nil {
		return nil, notGzip(err)
	}
	return &unpacking{r: unpack, left: maxUnpacked}, nil
}

type unpacking struct {
	r    io.Reader
	left int64
}

func (u *unpacking) Read(p []byte) (int, error) {
	n, err := u.r.Read(p)
	if u.left -= int64(n); u.left < 0 {
		return 0, fmt.Errorf("unpacked it has more than %d MiB: split it", maxUnpacked>>20)
	}
	return n, notGzip(err)
}

func notGzip(err error) error {
	switch {
	case err == nil, err == io.EOF:
		return err
	case errors.Is(err, io.ErrUnexpectedEOF):
		return errors.New("the packed file (gzip) ends too early")
	case errors.Is(err, gzip.ErrChecksum), errors.Is(err, gzip.ErrHeader):
		return errors.New("the packed file (gzip) is damaged")
	}
	return err
}
