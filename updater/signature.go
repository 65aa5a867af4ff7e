package updater

import (
	"errors"
	"fmt"
	"io"
	"os"
	"strings"
	"syscall"

	"aead.dev/minisign"
)

// Verify checks the file at path against a minisign signature by one of keys,
// and returns the one that made it. Nothing of the file is held in memory: one
// that was hashed before it was signed (ED) is read as a stream, the older form
// (Ed), which signs the whole, through a mapping that the kernel can drop.
func Verify(path, signature string, keys []string) (by string, err error) {
	var s minisign.Signature
	if err := s.UnmarshalText([]byte(signature)); err != nil {
		return "", fmt.Errorf("signature: %w", err)
	}
	key, err := keyOf(s, keys)
	if err != nil {
		return "", err
	}
	file, err := os.Open(path)
	if err != nil {
		return "", err
	}
	defer file.Close()
	ok, err := made(key, s, file, []byte(signature))
	if err != nil {
		return "", fmt.Errorf("reading %s: %w", path, err)
	}
	if !ok {
		return "", fmt.Errorf("signature: it is not that of this file (key %016X)", s.KeyID)
	}
	return fmt.Sprintf("%016X", s.KeyID), nil
}

func keyOf(s minisign.Signature, keys []string) (minisign.PublicKey, error) {
	for _, text := range keys {
		var key minisign.PublicKey
		if err := key.UnmarshalText([]byte(text)); err != nil {
			return key, fmt.Errorf("the trusted keys: %w", err)
		}
		if key.ID() == s.KeyID {
			return key, nil
		}
	}
	return minisign.PublicKey{}, fmt.Errorf("signature: none of the trusted keys made it (it names key %016X)", s.KeyID)
}

func made(key minisign.PublicKey, s minisign.Signature, file *os.File, signature []byte) (bool, error) {
	if s.Algorithm == minisign.HashEdDSA {
		r := minisign.NewReader(file)
		_, err := io.Copy(io.Discard, r)
		return r.Verify(key, signature), err
	}
	info, err := file.Stat()
	if err != nil {
		return false, err
	}
	if info.Size() == 0 || info.Size() != int64(int(info.Size())) {
		return false, errors.New("no file of this size can have a signature of the old form: sign it with minisign -H")
	}
	data, err := syscall.Mmap(int(file.Fd()), 0, int(info.Size()), syscall.PROT_READ, syscall.MAP_SHARED)
	if err != nil {
		return false, err
	}
	ok := minisign.Verify(key, data, signature)
	return ok, syscall.Munmap(data)
}

// IsSignature reports whether text is a signature itself, and not a URL or a path.
func IsSignature(text string) bool { return strings.HasPrefix(text, "untrusted comment:") }
