// Package signing makes minisign keys, opens them and signs with them. What is
// signed, and whether it should be, is not its matter.
package signing

import (
	"bytes"
	"crypto/rand"
	"errors"
	"fmt"
	"io"
	"os"
	"strings"
	"time"

	"aead.dev/minisign"
	"github.com/ratchetd/ratchet/cmd/ratchet/internal/private"
)

// A Key is a secret key that is ready to sign. A nil Key signs nothing.
type Key struct{ private minisign.PrivateKey }

// Open reads a secret key, and asks for its passphrase if it has one.
func Open(file string) (*Key, error) {
	text, err := private.Read(file)
	if err != nil {
		return nil, fmt.Errorf("reading the secret key: %w", err)
	}
	k := &Key{}
	if !minisign.IsEncrypted(text) {
		if err := k.private.UnmarshalText(text); err != nil {
			return nil, fmt.Errorf("%s: no secret key: want the file that 'ratchet key new' or minisign -G wrote: %w", file, err)
		}
		return k, nil
	}
	word, err := passphrase("passphrase for "+file+": ", false)
	if err != nil {
		return nil, err
	}
	if k.private, err = minisign.DecryptKey(word, text); err != nil {
		return nil, fmt.Errorf("%s: this passphrase does not open it", file)
	}
	return k, nil
}

// ID names the key pair, as 16 hex digits in upper case.
func (k *Key) ID() string { return fmt.Sprintf("%016X", k.private.ID()) }

// Sign makes a signature as minisign -S does: over the text's BLAKE2b hash, with
// the time, below which no device will believe its clock again. The name stands
// in the signature's comment. Without a key the signature is empty.
func (k *Key) Sign(text []byte, name string) string {
	if k == nil {
		return ""
	}
	r := minisign.NewReader(bytes.NewReader(text))
	_, _ = io.Copy(io.Discard, r) // memory reads to its end
	name = strings.Map(func(c rune) rune {
		if c < ' ' {
			return '_'
		}
		return c
	}, name)
	return string(r.SignWithComments(k.private,
		fmt.Sprintf("timestamp:%d\tfile:%s\thashed", time.Now().Unix(), name),
		"signature of ratchet key "+k.ID()))
}

// Signed reports whether the signature is this key's, over this text.
func (k *Key) Signed(text []byte, signature string) bool {
	if k == nil {
		return false
	}
	public, ok := k.private.Public().(minisign.PublicKey)
	return ok && minisign.Verify(public, text, []byte(signature))
}

// Create makes a secret key in file and its public key beside it, whose name it
// returns. A bare key has no passphrase: whoever reads the file can sign.
// Neither file may exist already.
func Create(file string, bare bool) (PublicKey, string, error) {
	public := strings.TrimSuffix(file, ".key") + ".pub"
	for _, f := range []string{file, public} {
		if _, err := os.Lstat(f); err == nil {
			return PublicKey{}, "", fmt.Errorf("%s is there already: choose another name, or move it away", f)
		}
	}
	pub, private, err := minisign.GenerateKey(rand.Reader)
	if err != nil {
		return PublicKey{}, "", err
	}
	secret, err := protect(private, bare)
	if err != nil {
		return PublicKey{}, "", err
	}
	text, err := pub.MarshalText()
	if err == nil {
		err = writeNew(file, secret, 0o600)
	}
	if err == nil {
		err = writeNew(public, append(text, '\n'), 0o644)
	}
	return PublicKey{pub}, public, err
}

func protect(private minisign.PrivateKey, bare bool) ([]byte, error) {
	if bare {
		return private.MarshalText()
	}
	word, err := passphrase("passphrase for the new key: ", true)
	if err == nil && word == "" {
		err = errors.New("the passphrase is empty: choose one, or say --no-passphrase")
	}
	if err != nil {
		return nil, err
	}
	return minisign.EncryptKey(word, private)
}

func writeNew(file string, text []byte, mode os.FileMode) error {
	f, err := os.OpenFile(file, os.O_CREATE|os.O_EXCL|os.O_WRONLY, mode)
	if err != nil {
		return fmt.Errorf("writing the key: %w", err)
	}
	_, err = f.Write(text)
	return errors.Join(err, f.Sync(), f.Close())
}
