package updater_test

import (
	"crypto/rand"
	"os"
	"path/filepath"
	"strings"
	"testing"

	"aead.dev/minisign"

	"github.com/ratchetd/ratchet/updater"
)

func write(t *testing.T, content []byte) string {
	t.Helper()
	path := filepath.Join(t.TempDir(), "ratchetd")
	if err := os.WriteFile(path, content, 0o700); err != nil {
		t.Fatal(err)
	}
	return path
}

func newKey(t *testing.T) (minisign.PublicKey, minisign.PrivateKey) {
	t.Helper()
	public, private, err := minisign.GenerateKey(rand.Reader)
	if err != nil {
		t.Fatal(err)
	}
	return public, private
}

// prehashed is a signature of the form ED, which minisign makes by default.
func prehashed(t *testing.T, key minisign.PrivateKey, content []byte) string {
	t.Helper()
	r := minisign.NewReader(strings.NewReader(string(content)))
	buf := make([]byte, len(content)+1)
	for {
		if _, err := r.Read(buf); err != nil {
			break
		}
	}
	return string(r.Sign(key))
}

func wantError(t *testing.T, what string, err error, want string) {
	t.Helper()
	if want == "" && err != nil || want != "" && (err == nil || !strings.Contains(err.Error(), want)) {
		t.Errorf("%s: got error %v, want %q", what, err, want)
	}
}

func TestOnlyWhatATrustedKeySignedVerifies(t *testing.T) {
	public, private := newKey(t)
	other, stranger := newKey(t)
	content := []byte("\x7fELF and more")
	path := write(t, content)
	sum, err := updater.Digest(path)
	if err != nil {
		t.Fatal(err)
	}
	both := []string{other.String(), public.String()}
	for _, c := range []struct{ name, sum, signature, want string }{
		{"hashed before", sum, prehashed(t, private, content), ""},
		{"the old form", sum, string(minisign.Sign(private, content)), ""},
		{"by the other key", sum, prehashed(t, stranger, content), ""},
		{"of other content", sum, prehashed(t, private, []byte("other")), "signature"},
		{"the old form, of other content", sum, string(minisign.Sign(private, []byte("other"))), "signature"},
		{"no signature", sum, "", "signature"},
		{"another digest", strings.Repeat("0", 64), prehashed(t, private, content), ""},
	} {
		if c.sum != sum {
			c.want = "sum"
		}
		candidate := updater.Candidate{Part: path, SHA256: c.sum, Signature: c.signature, Keys: both}
		if err := candidate.Verify(); c.want == "sum" {
			wantError(t, c.name, err, "sha256 is "+sum)
		} else {
			wantError(t, c.name, err, c.want)
		}
		target := filepath.Join(t.TempDir(), "ratchetd")
		wantError(t, c.name+", by selfupdate", candidate.Stage(target), c.want)
		if _, err := os.Stat(updater.Staged(target)); (err == nil) != (c.want == "") {
			t.Errorf("%s: got a staged file: %v, want one only of what is good", c.name, err == nil)
		}
	}
	candidate := updater.Candidate{Part: path, SHA256: sum, Signature: prehashed(t, stranger, content), Keys: both[1:]}
	wantError(t, "a stranger's", candidate.Verify(), "none of the trusted keys")
	wantError(t, "a stranger's, by selfupdate", candidate.Stage(path), "none of the trusted keys")
}

func TestABinaryForAnotherProcessorIsRefused(t *testing.T) {
	self, err := os.ReadFile(updater.Running)
	if err != nil {
		t.Fatal(err)
	}
	head := func(class, order, low, high byte) []byte {
		h := append([]byte{}, self[:64]...)
		h[4], h[5], h[18], h[19] = class, order, low, high
		return h
	}
	for _, c := range []struct {
		name    string
		content []byte
		want    string
	}{
		{"this one", self, ""},
		{"mipsle", head(1, 1, 8, 0), "it is for mips, 32 bit, little-endian, and this device is "},
		{"mips", head(1, 2, 0, 8), "it is for mips, 32 bit, big-endian"},
		{"arm", head(1, 1, 40, 0), "it is for arm, 32 bit, little-endian"},
		{"unheard of", head(2, 1, 77, 0), "it is for ELF machine 77, 64 bit"},
		{"a script", []byte("#!/bin/sh\necho ratchetd 2.0\n"), "no program for Linux"},
		{"empty", nil, "no program for Linux"},
		{"short", []byte("\x7fELF"), "no program for Linux"},
	} {
		if len(c.content) == 64 && string(c.content) == string(self[:64]) {
			continue // this one too
		}
		wantError(t, c.name, updater.SameMachine(write(t, c.content)), c.want)
	}
}
