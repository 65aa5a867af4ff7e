package jq

import (
	"bytes"
	"errors"
	"strconv"
	"unicode/utf16"
	"unicode/utf8"
)

// A Reader reads the inputs of one program, and makes values only of what that reads
// of them. All of the text is checked all the same. It is for one goroutine.
//
// It reads JSON by itself: the library that can skip what nobody wants, jsontext,
// would be 115 kB of a router's program. What it does not take it leaves to
// encoding/json, which knows the words for what is wrong.
type Reader struct {
	want  *want
	names map[string]string // field names, each once
	text  []byte
	at    int
	depth int
}

// NewReader returns a Reader for the inputs of p.
func (p *Program) NewReader() *Reader { return &Reader{want: p.want, names: map[string]string{}} }

// Reads reports whether the program looks at this field of its inputs.
func (r *Reader) Reads(field string) bool {
	return r.want.whole || r.want.items != nil || r.want.fields[field] != nil
}

const (
	maxNames = 4096
	// maxDepth is how deep a value may be; encoding/json has the same limit.
	maxDepth = 10_000
)

// errOdd is for a text that is read again by encoding/json, which knows the words
// for what is wrong with it.
var errOdd = errors.New("not JSON")

// Value reads the one JSON value in text. It is what ParseValue makes of the text,
// without what the program does not look at. The errors are the same.
func (r *Reader) Value(text []byte) (any, error) {
	r.text, r.at, r.depth = text, 0, 0
	v, err := r.value(r.want)
	r.space()
	if err != nil || r.at < len(r.text) {
		return ParseValue(string(text))
	}
	return v, nil
}

func (r *Reader) space() {
	for r.at < len(r.text) {
		switch r.text[r.at] {
		case ' ', '\t', '\n', '\r':
			r.at++
		default:
			return
		}
	}
}

// next is the byte at which the next token begins; 0 at the end.
func (r *Reader) next() byte {
	r.space()
	if r.at == len(r.text) {
		return 0
	}
	return r.text[r.at]
}

// value reads a value; of one that is not wanted (nil) only that it is one.
func (r *Reader) value(w *want) (any, error) {
	switch b := r.next(); {
	case b == '{':
		return r.object(w)
	case b == '[':
		return r.list(w)
	case b == '"':
		return r.string(w != nil)
	case b == 't':
		return true, r.word("true")
	case b == 'f':
		return false, r.word("false")
	case b == 'n':
		return nil, r.word("null")
	case b == '-' || '0' <= b && b <= '9':
		return r.number(w != nil)
	}
	return nil, errOdd
}

func (r *Reader) word(word string) error {
	if !bytes.HasPrefix(r.text[r.at:], []byte(word)) {
		return errOdd
	}
	r.at += len(word)
	return nil
}

// everything is what is in a value that is wanted whole.
var everything = &want{whole: true}

func (r *Reader) object(w *want) (any, error) {
	var object map[string]any
	whole := w != nil && (w.whole || w.items != nil) // what is iterated over has fields that nobody names
	if w != nil {
		object = make(map[string]any, min(len(w.fields), 8))
	}
	return object, r.parts('}', func() error {
		if r.next() != '"' {
			return errOdd
		}
		name, err := r.name(w != nil)
		if err != nil {
			return err
		}
		if r.next() != ':' {
			return errOdd
		}
		r.at++
		var of *want
		switch {
		case whole:
			of = everything
		case w != nil:
			of = w.fields[name]
		}
		v, err := r.value(of)
		if of != nil && err == nil {
			object[name] = v
		}
		return err
	})
}

func (r *Reader) list(w *want) (any, error) {
	var list []any
	of := everything
	switch {
	case w == nil:
		of = nil
	case w.whole || w.items == nil || len(w.fields) > 0: // an error may show how the list looks
	default:
		of = w.items
	}
	if w != nil {
		list = []any{}
	}
	return list, r.parts(']', func() error {
		v, err := r.value(of)
		if w != nil {
			list = append(list, v)
		}
		return err
	})
}

// parts reads what is between brackets, by one call of part for each.
func (r *Reader) parts(end byte, part func() error) error {
	if r.depth++; r.depth > maxDepth {
		return errOdd
	}
	defer func() { r.depth-- }()
	r.at++
	if r.next() == end {
		r.at++
		return nil
	}
	for {
		if err := part(); err != nil {
			return err
		}
		switch r.next() {
		case ',':
			r.at++
		case end:
			r.at++
			return nil
		default:
			return errOdd
		}
	}
}

// name reads a field's name.
func (r *Reader) name(wanted bool) (string, error) {
	raw, plain, err := r.quoted()
	switch {
	case err != nil || !wanted:
		return "", err
	case !plain:
		return unescape(raw)
	}
	if name, known := r.names[string(raw)]; known {
		return name, nil
	}
	name := string(raw)
	if len(r.names) < maxNames {
		r.names[name] = name
	}
	return name, nil
}

func (r *Reader) string(wanted bool) (any, error) {
	raw, plain, err := r.quoted()
	switch {
	case err != nil || !wanted:
		return nil, err
	case plain:
		return string(raw), nil
	}
	return unescape(raw)
}

// quoted is what is between two quotes, and whether it is plain text.
func (r *Reader) quoted() (raw []byte, plain bool, err error) {
	r.at++
	plain = true
	for i := r.at; i < len(r.text); i++ {
		switch b := r.text[i]; {
		case b == '"':
			raw, r.at = r.text[r.at:i], i+1
			if plain {
				return raw, true, nil
			}
			_, err := unescape(raw) // what is skipped is checked too
			return raw, false, err
		case b == '\\':
			plain = false
			i++
		case b < ' ':
			return nil, false, errOdd
		}
	}
	return nil, false, errOdd
}

var escapes = map[byte]byte{'"': '"', '\\': '\\', '/': '/', 'b': '\b', 'f': '\f', 'n': '\n', 'r': '\r', 't': '\t'}

// unescape replaces the escapes in a text. Half a surrogate pair becomes U+FFFD.
func unescape(raw []byte) (string, error) {
	out := make([]byte, 0, len(raw))
	for i := 0; i < len(raw); i++ {
		if raw[i] != '\\' {
			out = append(out, raw[i])
			continue
		}
		i++ // there is one more: quoted has seen it
		if raw[i] != 'u' {
			b, ok := escapes[raw[i]]
			if !ok {
				return "", errOdd
			}
			out = append(out, b)
			continue
		}
		c, err := hex(raw[i+1:])
		if err != nil {
			return "", err
		}
		i += 4
		if utf16.IsSurrogate(c) {
			second := rune(-1)
			if len(raw) > i+6 && raw[i+1] == '\\' && raw[i+2] == 'u' {
				if second, err = hex(raw[i+3:]); err != nil {
					return "", err
				}
			}
			if c = utf16.DecodeRune(c, second); c != utf8.RuneError {
				i += 6
			}
		}
		out = utf8.AppendRune(out, c)
	}
	return string(out), nil
}

func hex(digits []byte) (rune, error) {
	if len(digits) < 4 {
		return 0, errOdd
	}
	n, err := strconv.ParseUint(string(digits[:4]), 16, 16)
	if err != nil {
		return 0, errOdd
	}
	return rune(n), nil
}

// number reads one by JSON's grammar.
func (r *Reader) number(wanted bool) (any, error) {
	from := r.at
	digits := func() bool {
		first := r.at
		for r.at < len(r.text) && '0' <= r.text[r.at] && r.text[r.at] <= '9' {
			r.at++
		}
		return r.at > first
	}
	has := func(any string) bool {
		if r.at < len(r.text) && bytes.IndexByte([]byte(any), r.text[r.at]) >= 0 {
			r.at++
			return true
		}
		return false
	}
	has("-")
	if zero := has("0"); !zero && !digits() {
		return nil, errOdd
	}
	if has(".") && !digits() {
		return nil, errOdd
	}
	if has("eE") {
		has("+-")
		if !digits() {
			return nil, errOdd
		}
	}
	if !wanted {
		return nil, nil
	}
	return parseNumber(string(r.text[from:r.at]))
}
