package data

import (
	"bufio"
	"bytes"
	"errors"
	"fmt"
	"io"
	"os"
	"unicode/utf8"

	"github.com/ratchetd/ratchet/executor/jq"
	"github.com/ratchetd/ratchet/executor/step/inputs"
)

// maxRecord bounds one line, or one CSV record, which may have several.
const maxRecord = 1 << 20

// records reads the records of several files, one after the other, in bounded
// memory.
type records struct {
	format    string
	delimiter string        // of csv; empty: found out
	files     []inputs.File // those that are still to come
	json      *jq.Reader    // of JSON lines; it knows which fields are read
	tell      func()        // called from time to time while it reads

	count, bytes int64 // read so far
	file         *os.File
	path         string // of file, as the job names it
	line         int    // of the last record
	read         func() (any, error)
}

// next returns the next record, or io.EOF.
func (r *records) next() (any, error) {
	for {
		if r.file == nil {
			if len(r.files) == 0 {
				return nil, io.EOF
			}
			if err := r.Open(); err != nil {
				return nil, err
			}
		}
		v, err := r.read()
		if err == nil {
			r.count++
			return v, nil
		}
		if err != io.EOF {
			return nil, fmt.Errorf("%s: %w", r.where(), err)
		}
		r.Close()
	}
}

// where names the record that was read last.
func (r *records) where() string { return fmt.Sprintf("%s, line %d", r.path, r.line) }

func (r *records) Open() (err error) {
	next := r.files[0]
	r.files = r.files[1:]
	if r.file, err = next.Open(); err != nil {
		return err
	}
	r.path, r.line = next.Path, 0
	content, err := r.unpacked()
	if err != nil {
		return fmt.Errorf("%s: %w", r.path, err)
	}
	if r.format == "csv" {
		r.read, err = r.table(content)
	} else {
		r.read = r.lines(content)
	}
	return err
}

func (r *records) Close() {
	_ = r.file.Close() // it was only read
	r.file = nil
}

// Read counts what is read of the file.
func (r *records) Read(p []byte) (int, error) {
	n, err := r.file.Read(p)
	r.bytes += int64(n)
	r.tell()
	return n, err
}

// lines reads the open file as text or as JSON lines.
func (r *records) lines(content io.Reader) func() (any, error) {
	scan := bufio.NewScanner(content)
	scan.Buffer(make([]byte, 64<<10), maxRecord)
	return func() (any, error) {
		for scan.Scan() {
			r.line++
			line := scan.Bytes()
			if r.line == 1 {
				line = bytes.TrimPrefix(line, []byte("\uFEFF"))
			}
			if !utf8.Valid(line) {
				return nil, errNotUTF8
			}
			if r.format == "text" {
				return string(line), nil
			}
			if len(bytes.TrimSpace(line)) == 0 {
				continue
			}
			return r.parseLine(line)
		}
		return nil, r.ended(scan.Err())
	}
}

var errNotUTF8 = errors.New("not valid UTF-8: convert the file first")

func (r *records) ended(err error) error {
	if err == nil {
		return io.EOF
	}
	r.line++
	if errors.Is(err, bufio.ErrTooLong) {
		return errTooLong
	}
	return err
}

var errTooLong = fmt.Errorf("longer than %d KiB", maxRecord>>10)

func (r *records) parseLine(line []byte) (any, error) {
	v, err := r.json.Value(line)
	if err != nil {
		return nil, fmt.Errorf(`%w (to pass over such lines, read them as text: inputs | fromjson?)`, err)
	}
	return v, nil
}
