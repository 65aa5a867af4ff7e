package redact

import "strings"

// Printable maps what would not show on one line to a blank, for strings.Map.
func Printable(r rune) rune {
	if r < ' ' || r == 0x7f {
		return ' '
	}
	return r
}

// Clip is text, or its beginning when it has more than most bytes.
func Clip(text string, most int) string {
	if len(text) <= most {
		return text
	}
	return strings.ToValidUTF8(text[:max(most-3, 0)], "") + "..."[:min(most, 3)]
}

// ClipWord is Clip that leaves no half of a word: it may be the beginning of a
// secret, and would not be known for one.
func ClipWord(text string, most int) string {
	if len(text) <= most || most < 4 {
		return Clip(text, most)
	}
	return text[:strings.LastIndexAny(text[:most-3], " \t\n")+1] + "..."
}
