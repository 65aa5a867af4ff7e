package config

import (
	"errors"
	"fmt"
	"io/fs"
	"path/filepath"
	"slices"

	"aead.dev/minisign"
	"github.com/ratchetd/ratchet/executor"
	"github.com/ratchetd/ratchet/executor/step"
)

// KeysFile holds the key set that a job brought.
func (c *Config) KeysFile() string { return filepath.Join(c.dir, "keys.json") }

// ReadKeys lets the key set that a job brought replace that of the policy. One
// that cannot be read is no reason to fall back to keys that may be revoked.
func (c *Config) ReadKeys() error {
	text, err := readConfig(c.KeysFile())
	if errors.Is(err, fs.ErrNotExist) {
		c.Policy.Keys, c.sequence = c.ownKeys, 0
		return nil
	}
	var s step.KeySet
	if err == nil {
		err = executor.Decode(text, &s)
	}
	if err == nil && len(s.Set) == 0 {
		err = errors.New("set: it is empty")
	}
	if err != nil {
		return fmt.Errorf("%s: %w (without that file policy.keys counts again)", c.KeysFile(), err)
	}
	c.Policy.Keys, c.sequence = slices.Concat(s.Set, s.Before), s.Sequence
	return nil
}

// KeySequence is that of the key set that a job brought; 0: none did.
func (c *Config) KeySequence() int64 { return c.sequence }

// KeyID is the id of a minisign public key, 16 upper-case hex digits; empty for
// what is none.
func KeyID(text string) string {
	var key minisign.PublicKey
	if key.UnmarshalText([]byte(text)) != nil {
		return ""
	}
	return fmt.Sprintf("%016X", key.ID())
}
