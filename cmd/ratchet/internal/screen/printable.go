package screen

import (
	"bytes"
	"fmt"
	"strings"
	"unicode"
	"unicode/utf16"
	"unicode/utf8"
)

// instead stands where something was that cannot be shown.
const instead = '\uFFFD'

// shown is the one rule of what may reach a terminal. It keeps out the control
// characters of C0 and C1, what turns the direction of a text round or joins
// nothing to nothing, and bytes that are no UTF-8.
func shown(r rune) rune {
	if unicode.IsPrint(r) {
		return r
	}
	return instead
}

// Line makes a text one printable line.
func Line(text string) string {
	return strings.Map(func(r rune) rune {
		if unicode.IsSpace(r) {
			return ' '
		}
		return shown(r)
	}, text)
}

// printable makes a text printable and keeps its lines and tabs.
func printable(text []byte) []byte {
	return bytes.Map(func(r rune) rune {
		if r == '\n' || r == '\t' {
			return r
		}
		return shown(r)
	}, text)
}

// escaped writes what is not printable in JSON as \u and four digits. Outside of
// strings JSON has nothing that it would change.
func escaped(text []byte) []byte {
	if bytes.IndexFunc(text, func(r rune) bool { return r != '\n' && shown(r) != r }) < 0 && utf8.Valid(text) {
		return text
	}
	var b bytes.Buffer
	for len(text) > 0 {
		r, size := utf8.DecodeRune(text)
		switch {
		case r == '\n' || shown(r) == r && (r != utf8.RuneError || size > 1):
			b.Write(text[:size])
		case r > 0xFFFF:
			high, low := utf16.EncodeRune(r)
			fmt.Fprintf(&b, `\u%04x\u%04x`, high, low)
		default:
			fmt.Fprintf(&b, `\u%04x`, r)
		}
		text = text[size:]
	}
	return b.Bytes()
}
