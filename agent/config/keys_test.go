package config

import (
	"crypto/rand"
	"fmt"
	"path/filepath"
	"strings"
	"testing"

	"aead.dev/minisign"
)

// A key set that cannot be read must not let keys count that may be revoked.
func TestABrokenKeySetIsNoWayBackToThePolicysKeys(t *testing.T) {
	was := newKey(t)
	for text, want := range map[string]string{
		`{"sequence":1,"set":["` + was + `"],"more":1}`: "more: unknown field",
		`{"sequence":1,"set":[]}`:                       "it is empty",
		`{"sequence":1,"set":["x"]}`:                    "no minisign public key",
		"":                                              "keys.json",
	} {
		dir := etc(t, map[string]string{"ratchet.toml": least + ownedBy(was), "keys.json": text})
		if _, err := LoadDraft(filepath.Join(dir, "ratchet.toml"), Draft{}, noMAC); err == nil || !strings.Contains(err.Error(), want) {
			t.Errorf("%s: got %v, want an error with %q", text, err, want)
		}
	}
	dir := etc(t, map[string]string{"ratchet.toml": least + ownedBy(was), "keys.json": fmt.Sprintf(`{"sequence":4,"set":[%q]}`, newKey(t))})
	c, err := LoadDraft(filepath.Join(dir, "ratchet.toml"), Draft{}, noMAC)
	if err != nil || len(c.Policy.Keys) != 1 || c.Policy.Keys[0] == was || c.sequence != 4 {
		t.Errorf("got %+v, %v, want the set of keys.json alone", c, err)
	}
}

// newKey is a minisign public key, as its file has it.
func newKey(t *testing.T) string {
	t.Helper()
	public, _, err := minisign.GenerateKey(rand.Reader)
	if err != nil {
		t.Fatal(err)
	}
	return public.String()
}

func ownedBy(key string) string { return fmt.Sprintf("\n[policy]\nkeys = [%q]\n", key) }
