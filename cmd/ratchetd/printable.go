package main

import (
	"fmt"
	"io"
	"strconv"
	"unicode/utf16"
	"unicode/utf8"
)

// printable writes text of which every character is printable, a tab or a
// line's end. Others, which could move a cursor or hide something, stand there
// as \u and four digits: so JSON stays what it was, and a person sees them.
type printable struct{ to io.Writer }

func (p printable) Write(text []byte) (int, error) {
	made := make([]byte, 0, len(text))
	for rest := text; len(rest) > 0; {
		r, size := utf8.DecodeRune(rest)
		switch {
		case r == '\n' || r == '\t' || strconv.IsPrint(r) && (r != utf8.RuneError || size > 1):
			made = append(made, rest[:size]...)
		case r > 0xFFFF:
			high, low := utf16.EncodeRune(r)
			made = fmt.Appendf(made, `\u%04x\u%04x`, high, low)
		default:
			made = fmt.Appendf(made, `\u%04x`, r)
		}
		rest = rest[size:]
	}
	if _, err := p.to.Write(made); err != nil {
		return 0, err
	}
	return len(text), nil
}
