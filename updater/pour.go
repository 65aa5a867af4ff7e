package updater

import (
	"crypto/sha256"
	"encoding/hex"
	"errors"
	"fmt"
	"io"

	"aead.dev/minisign"
)

// heldBack is how much of the end of a stream is held back until all of it is verified.
const heldBack = 64 << 10

// Pour verifies a stream: it copies r to w, and the last bytes only when all have
// the right digest and signature. After an error w must not be closed as if it had
// got everything.
func (c Candidate) Pour(w io.Writer, r io.Reader) error {
	sum := sha256.New()
	r = io.TeeReader(r, sum)
	signed := func() error { return nil }
	if len(c.Keys) > 0 {
		var err error
		if r, signed, err = c.listen(r); err != nil {
			return err
		}
	}
	last, err := allBut(w, r)
	if err != nil {
		return err
	}
	if got := hex.EncodeToString(sum.Sum(nil)); got != c.SHA256 {
		return fmt.Errorf("sha256 is %s, want %s", got, c.SHA256)
	}
	if err := signed(); err != nil {
		return err
	}
	_, err = w.Write(last)
	return err
}

// listen returns r, and a func that says at its end whether the signature fits.
func (c Candidate) listen(r io.Reader) (io.Reader, func() error, error) {
	var s minisign.Signature
	if err := s.UnmarshalText([]byte(c.Signature)); err != nil {
		return nil, nil, fmt.Errorf("signature: %w", err)
	}
	key, err := keyOf(s, c.Keys)
	if err != nil {
		return nil, nil, err
	}
	if s.Algorithm != minisign.HashEdDSA {
		return nil, nil, errors.New("signature: one of the old form needs the whole file at once, for which there is no room: sign it with minisign -H")
	}
	m := minisign.NewReader(r)
	return m, func() error {
		if !m.Verify(key, []byte(c.Signature)) {
			return fmt.Errorf("signature: it is not that of this file (key %016X)", s.KeyID)
		}
		return nil
	}, nil
}

// allBut copies r to w except for the last bytes, which it returns.
func allBut(w io.Writer, r io.Reader) (last []byte, err error) {
	next, held := make([]byte, heldBack), make([]byte, 0, heldBack)
	for {
		n := 0
		for n < len(next) && err == nil {
			var m int
			m, err = r.Read(next[n:])
			n += m
		}
		if err == io.EOF {
			return append(held, next[:n]...), nil
		}
		if err != nil {
			return nil, err
		}
		if _, err = w.Write(held); err != nil {
			return nil, err
		}
		held, next = next, held[:heldBack]
	}
}
