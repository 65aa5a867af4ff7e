package signing

import (
	"fmt"
	"os"
	"strings"

	"aead.dev/minisign"
)

// A PublicKey verifies what its secret key signed. Its text begins with RW.
type PublicKey struct{ public minisign.PublicKey }

// ReadPublic returns the public key in a file, or the key itself where text is one.
func ReadPublic(text string) (PublicKey, error) {
	key, raw := PublicKey{}, []byte(text)
	if !strings.HasPrefix(text, "RW") {
		var err error
		if raw, err = os.ReadFile(text); err != nil {
			return key, fmt.Errorf("reading the public key: %w", err)
		}
	}
	if err := key.public.UnmarshalText(raw); err != nil {
		return key, fmt.Errorf("%s: no minisign public key: %w", text, err)
	}
	return key, nil
}

// ID names the key pair, as 16 hex digits in upper case.
func (k PublicKey) ID() string { return fmt.Sprintf("%016X", k.public.ID()) }

func (k PublicKey) String() string { return k.public.String() }

// Verify returns the trusted comment of a signature, or false when this key did
// not make it over this text.
func (k PublicKey) Verify(text, signature []byte) (comment string, ok bool) {
	if !minisign.Verify(k.public, text, signature) {
		return "", false
	}
	var read minisign.Signature
	_ = read.UnmarshalText(signature) // Verify has read it
	return read.TrustedComment, true
}
