package step

import (
	"errors"
	"fmt"
	"io"
	"time"
)

// tarball writes regular files as tar does, with GNU's way of long names, which
// BusyBox unpacks too. (archive/tar knows more, for 55 kB more.)
type tarball struct {
	w    io.Writer
	left int64 // what the file begun still wants
	pad  int64 // zeros after it, up to a whole block
}

type tarFile struct {
	name        string
	mode        uint32
	uid, gid    uint32
	user, group string
	size        int64
	changed     time.Time
}

const (
	tarBlock    = 512
	tarName     = 100 // the longest name that the header itself holds
	tarRegular  = '0'
	tarLongName = 'L'
)

var (
	errTarLong  = errors.New("more bytes than were told")
	errTarShort = errors.New("fewer bytes than were told")
)

// begin writes what goes before the bytes of a file, which are written next:
// as many as its size says.
func (t *tarball) begin(f tarFile) error {
	if len(f.name) > tarName {
		if err := t.header(tarLongName, tarFile{name: "././@LongLink", size: int64(len(f.name)) + 1}); err != nil {
			return err
		}
		if _, err := t.Write([]byte(f.name + "\x00")); err != nil {
			return err
		}
	}
	return t.header(tarRegular, f)
}

func (t *tarball) header(kind byte, f tarFile) error {
	if err := t.end(); err != nil {
		return err
	}
	var b [tarBlock]byte
	copy(b[:tarName], f.name)
	tarNumber(b[100:108], int64(f.mode))
	tarNumber(b[108:116], int64(f.uid))
	tarNumber(b[116:124], int64(f.gid))
	tarNumber(b[124:136], f.size)
	tarNumber(b[136:148], max(0, f.changed.Unix()))
	b[156] = kind
	copy(b[257:265], "ustar  \x00")
	copy(b[265:296], f.user)
	copy(b[297:328], f.group)
	sum := 8 * int(' ') // the sum's own place counts as spaces
	for _, c := range b {
		sum += int(c)
	}
	copy(b[148:156], fmt.Sprintf("%06o\x00 ", sum))
	t.left, t.pad = f.size, -f.size&(tarBlock-1)
	_, err := t.w.Write(b[:])
	return err
}

// tarNumber writes octal digits, or where there is no room for them the number
// itself, as GNU does.
func tarNumber(field []byte, n int64) {
	digits := len(field) - 1
	if n < 1<<(3*digits) {
		copy(field, fmt.Sprintf("%0*o", digits, n))
		return
	}
	for i := digits; i > 0; i, n = i-1, n>>8 {
		field[i] = byte(n)
	}
	field[0] = 0x80
}

// Write takes the bytes of the file that was begun.
func (t *tarball) Write(p []byte) (int, error) {
	if int64(len(p)) > t.left {
		return 0, errTarLong
	}
	n, err := t.w.Write(p)
	t.left -= int64(n)
	return n, err
}

// end makes the file that was begun whole.
func (t *tarball) end() error {
	if t.left > 0 {
		return errTarShort
	}
	_, err := t.w.Write(make([]byte, t.pad))
	t.pad = 0
	return err
}

// close ends the archive, and leaves w open.
func (t *tarball) close() error {
	if err := t.end(); err != nil {
		return err
	}
	_, err := t.w.Write(make([]byte, 2*tarBlock))
	return err
}
