package data

import (
	"bufio"
	"bytes"
	"encoding/csv"
	"errors"
	"fmt"
	"io"
	"regexp"
	"strings"
	"unicode/utf8"
)

// table reads the open file as CSV: the first record names the fields, and each
// other one becomes an object of strings, of the columns that are read.
func (r *records) table(content io.Reader) (func() (any, error), error) {
	b := &bounded{r: bufio.NewReaderSize(content, maxHeader)}
	if start, _ := b.r.Peek(3); string(start) == "\uFEFF" {
		_, _ = b.r.Discard(3)
	}
	head, err := b.r.Peek(maxHeader)
	if len(head) == 0 && err != nil && err != io.EOF {
		return nil, err
	}
	comma, before, err := delimiterOf(r.delimiter, head)
	if err != nil {
		r.line = 1
		return nil, fmt.Errorf("%s: %w", r.where(), err)
	}
	first := 0 // lines before the header
	if before > 0 {
		_, _ = b.r.Discard(before) // it is in the buffer
		first = 1
	}
	t := csv.NewReader(b)
	t.Comma = comma
	t.ReuseRecord = true
	b.offset = t.InputOffset
	var names []string // a column that nobody reads has none
	return func() (any, error) {
		for {
			fields, err := t.Read()
			if err != nil {
				return nil, r.tableError(err, first)
			}
			r.line, _ = t.FieldPos(0)
			r.line += first
			for _, f := range fields {
				if !utf8.ValidString(f) {
					return nil, errNotUTF8
				}
			}
			if names != nil {
				return object(names, fields), nil
			}
			if names, err = columns(fields); err != nil {
				return nil, err
			}
			for i, name := range names {
				if !r.json.Reads(name) {
					names[i] = ""
				}
			}
		}
	}, nil
}

// tableError says what is wrong without the line, which where says.
func (r *records) tableError(err error, first int) error {
	var parse *csv.ParseError
	if !errors.As(err, &parse) {
		if err != io.EOF {
			r.line++
		}
		return err
	}
	r.line = parse.Line + first
	if errors.Is(err, csv.ErrFieldCount) {
		return errors.New("not as many fields as the first line has names")
	}
	return fmt.Errorf("not CSV: %w", parse.Err)
}

func object(names, fields []string) map[string]any {
	o := map[string]any{}
	for i, name := range names {
		if name != "" {
			o[name] = fields[i]
		}
	}
	return o
}

// columns are the names of the columns: as the header has them or, where it has
// none, column and the number.
func columns(header []string) (names []string, err error) {
	seen := map[string]bool{}
	for i, name := range header {
		if strings.TrimSpace(name) == "" {
			name = fmt.Sprintf("column%d", i+1)
		}
		if seen[name] {
			return nil, fmt.Errorf("two columns have the name %q, the second is column %d: rename one, or read the file as text", name, i+1)
		}
		seen[name] = true
		names = append(names, name)
	}
	return names, nil
}

// maxHeader is how much of a file is looked at for its delimiter.
const maxHeader = 64 << 10

// delimiterOf is what parts the columns: what the job says, or else a comma. Where the
// header has no comma but semicolons, as programs write it whose decimals have commas,
// that is sure enough; where it could be read in two ways the job must say which.
//
// A first line such as sep=; says it too, as spreadsheets write and read it; it has so
// many bytes, and is no header.
func delimiterOf(told string, head []byte) (comma rune, line int, err error) {
	if said := separator.FindSubmatch(head); said != nil {
		line = len(said[0])
		if told != "" && told != string(said[1]) {
			return 0, 0, fmt.Errorf("it says sep=%s and delimiter is %q: leave delimiter out", said[1], told)
		}
		told = string(said[1])
	}
	if told != "" {
		comma, _ = utf8.DecodeRuneInString(told)
		return comma, line, nil
	}
	comma, err = delimiterIn(head)
	return comma, 0, err
}

var separator = regexp.MustCompile(`^"?sep=([;,|\t])"?\r?\n`)

func delimiterIn(head []byte) (rune, error) {
	counts, quoted := map[byte]int{}, false
	for _, c := range bytes.TrimLeft(head, "\r\n") {
		if c == '\n' && !quoted {
			break
		}
		if c == '"' {
			quoted = !quoted
		}
		if !quoted {
			counts[c]++
		}
	}
	switch {
	case counts[';'] > 0 && counts[',']+counts['\t'] > 0:
		return 0, errors.New(`the header could be read in two ways: set delimiter to ";" or ","`)
	case counts[';'] > 0:
		return ';', nil
	case counts['\t'] > 0 && counts[','] == 0:
		return 0, errors.New(`the header has no comma, and tabs: set delimiter to "\t", or to "," if it is one column`)
	}
	return ',', nil
}

// bounded ends a CSV file with a record that is too long: a quote that is never
// closed would take all the memory.
type bounded struct {
	r      *bufio.Reader
	given  int64
	offset func() int64 // where the last whole record ends
}

func (b *bounded) Read(p []byte) (int, error) {
	if b.given-b.offset() > maxRecord {
		return 0, errTooLong
	}
	n, err := b.r.Read(p)
	b.given += int64(n)
	return n, err
}
