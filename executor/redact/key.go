package redact

import (
	"crypto/ecdh"
	"crypto/ecdsa"
	"crypto/ed25519"
	"crypto/rsa"
	"crypto/x509"
	"encoding/base64"
	"encoding/hex"
	"encoding/pem"
	"slices"
	"strings"
)

// armor is in the lines around a key, which say no more than that it is one.
const armor = "-----"

func isKey(text string) bool { return strings.Contains(text, armor+"BEGIN ") }

// keyLines are the lines of a PEM file that are worth to be masked by themselves.
func keyLines(text string) (lines []string) {
	if !isKey(text) {
		return nil
	}
	for line := range strings.Lines(text) {
		if line = strings.TrimSpace(line); len(line) >= minLine && !strings.Contains(line, armor) {
			lines = append(lines, line)
		}
	}
	return lines
}

// keyForms are what is secret of the private keys in a PEM file, in base64 and
// hex. What is public of them is not: a job's result may have to tell it.
func keyForms(text string) (forms []string) {
	for block, rest := pem.Decode([]byte(text)); block != nil; block, rest = pem.Decode(rest) {
		for _, part := range private(block) {
			for _, form := range append(encoded(part), hex.EncodeToString(part)) {
				if len(form) >= 2*window {
					forms = append(forms, form)
				}
			}
		}
	}
	return forms
}

// private are the secret numbers of a key; all of one that nobody here can read.
func private(block *pem.Block) [][]byte {
	if !strings.Contains(block.Type, "PRIVATE") {
		return nil
	}
	key, err := x509.ParsePKCS8PrivateKey(block.Bytes)
	if ec, ecErr := x509.ParseECPrivateKey(block.Bytes); err != nil && ecErr == nil {
		key, err = ec, nil
	}
	if r, rsaErr := x509.ParsePKCS1PrivateKey(block.Bytes); err != nil && rsaErr == nil {
		key = r
	}
	switch key := key.(type) {
	case *ecdsa.PrivateKey:
		if d, err := key.Bytes(); err == nil {
			return [][]byte{d}
		}
	case *rsa.PrivateKey:
		parts := [][]byte{key.D.Bytes(), key.Precomputed.Dp.Bytes(), key.Precomputed.Dq.Bytes(), key.Precomputed.Qinv.Bytes()}
		for _, p := range key.Primes {
			parts = append(parts, p.Bytes())
		}
		return parts
	case ed25519.PrivateKey:
		return [][]byte{key.Seed()}
	case *ecdh.PrivateKey:
		return [][]byte{key.Bytes()}
	}
	return [][]byte{block.Bytes}
}

// encoded is data in base64 as it stands within that of something longer: in
// three ways, by where it begins there, without what others have a share in.
func encoded(data []byte) (forms []string) {
	for before := range 3 {
		text := base64.RawStdEncoding.EncodeToString(append(make([]byte, before), data...))
		from, to := (8*before+5)/6, 8*(before+len(data))/6
		if from < to {
			forms = append(forms, text[from:to])
		}
	}
	return forms
}

// window is how many characters of a key in a row make it known: twice as many
// are always found.
const window = 8

// hideKeys masks what is of a key, wherever lines are broken in it.
func (s Secrets) hideKeys(text string) string {
	if len(s.keys)+len(s.lines) == 0 {
		return text
	}
	bare, at := unbroken(text)
	lower := strings.ToLower(bare) // as hex is known
	hit := make([]bool, len(text))
	for _, key := range s.keys {
		mark(bare, key, at, hit)
		mark(lower, key, at, hit)
	}
	for _, line := range s.lines {
		for from, i := 0, strings.Index(text, line); i >= 0; i = strings.Index(text[from:], line) {
			cover(hit, from+i, from+i+len(line))
			from += i + len(line)
		}
	}
	return covered(text, hit)
}

// cover notes that this part is secret.
func cover(hit []bool, from, to int) {
	for i := from; i < to; i++ {
		hit[i] = true
	}
}

// covered is text with a mask for each of its secret parts, which lines' ends divide.
func covered(text string, hit []bool) string {
	if !slices.Contains(hit, true) {
		return text
	}
	var out strings.Builder
	for i := range len(text) {
		switch {
		case !hit[i] || text[i] == '\n':
			out.WriteByte(text[i])
		case i == 0 || !hit[i-1] || text[i-1] == '\n':
			out.WriteString(Mask)
		}
	}
	return out.String()
}

// unbroken is text without all that may stand between two pieces of one in
// base64 or hex, and where each of its characters is.
func unbroken(text string) (bare string, at []int) {
	kept := make([]byte, 0, len(text))
	for i := 0; i < len(text); i++ {
		c := text[i]
		switch {
		case c == '\\' && i+1 < len(text) && strings.IndexByte("nrt", text[i+1]) >= 0:
			i++ // a line's end as JSON has it
			continue
		case c == '-':
			c = '+' // as the URL's alphabet has it
		case c == '_':
			c = '/'
		}
		if c == '+' || c == '/' || '0' <= c && c <= '9' || 'A' <= c && c <= 'Z' || 'a' <= c && c <= 'z' {
			kept, at = append(kept, c), append(at, i)
		}
	}
	return string(kept), at
}

// mark notes where of a text, whose characters are at those places, is key.
func mark(text, key string, at []int, hit []bool) {
	for i := 0; i+window <= len(text); i += window {
		from := strings.Index(key, text[i:i+window])
		if from < 0 {
			continue
		}
		first, last, end := i, i+window, from+window
		for ; first > 0 && from > 0 && text[first-1] == key[from-1]; first, from = first-1, from-1 {
		}
		for ; last < len(text) && end < len(key) && text[last] == key[end]; last, end = last+1, end+1 {
		}
		cover(hit, at[first], at[last-1]+1)
	}
}
