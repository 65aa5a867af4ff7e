package redact

import (
	"net/url"
	"strings"
)

// URL is an address without user, password, query and fragment: presigned ones
// carry their secret there.
func URL(raw string) string {
	u, err := url.Parse(raw)
	if err != nil {
		return "(not a URL)"
	}
	if u.User == nil && u.RawQuery == "" && u.Fragment == "" {
		return raw
	}
	return (&url.URL{Scheme: u.Scheme, Host: u.Host, Path: u.Path}).String()
}

// URLs is a text with the addresses among its words masked as URL does.
func URLs(text string) string {
	words := strings.Split(text, " ")
	for i, word := range words {
		if before, _, found := strings.Cut(word, "://"); found && before != "" {
			words[i] = maskedWithin(word)
		}
	}
	return strings.Join(words, " ")
}

// maskedWithin masks an address that may stand behind something, as in --url=....
func maskedWithin(word string) string {
	at := strings.Index(word, "://")
	begin := at
	for begin > 0 && schemeByte(word[begin-1]) {
		begin--
	}
	return word[:begin] + URL(word[begin:])
}

func schemeByte(b byte) bool {
	return 'a' <= b && b <= 'z' || 'A' <= b && b <= 'Z' || '0' <= b && b <= '9' || b == '+' || b == '.'
}
