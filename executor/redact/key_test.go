package redact

import (
	"crypto"
	"crypto/ecdsa"
	"crypto/ed25519"
	"crypto/elliptic"
	"crypto/rand"
	"crypto/rsa"
	"crypto/x509"
	"crypto/x509/pkix"
	"encoding/base64"
	"encoding/hex"
	"encoding/pem"
	"fmt"
	"slices"
	"strings"
	"testing"
)

// wrapped breaks a text into lines of n characters.
func wrapped(text string, n int, before, after string) string {
	var b strings.Builder
	for piece := range slices.Chunk([]byte(text), n) {
		b.WriteString(before + string(piece) + after)
	}
	return b.String()
}

// privateKeys are of each sort, as their encodings; the first is the file.
func privateKeys(t *testing.T) map[string][][]byte {
	ec, err1 := ecdsa.GenerateKey(elliptic.P256(), rand.Reader)
	r, err2 := rsa.GenerateKey(rand.Reader, 2048)
	_, ed, err3 := ed25519.GenerateKey(rand.Reader)
	if err1 != nil || err2 != nil || err3 != nil {
		t.Fatal(err1, err2, err3)
	}
	pkcs8 := func(key crypto.Signer) []byte {
		der, err := x509.MarshalPKCS8PrivateKey(key)
		if err != nil {
			t.Fatal(err)
		}
		return der
	}
	sec1, err := x509.MarshalECPrivateKey(ec)
	if err != nil {
		t.Fatal(err)
	}
	unreadable := make([]byte, 300)
	_, _ = rand.Read(unreadable) // never fails
	pkcs1 := x509.MarshalPKCS1PrivateKey(r)
	return map[string][][]byte{
		"PRIVATE KEY ec":      {pkcs8(ec), sec1},
		"EC PRIVATE KEY":      {sec1, pkcs8(ec)},
		"PRIVATE KEY rsa":     {pkcs8(r), pkcs1},
		"RSA PRIVATE KEY":     {pkcs1, pkcs8(r)},
		"PRIVATE KEY ed25519": {pkcs8(ed)},
		"OPENSSH PRIVATE KEY": {unreadable},
	}
}

func pemOf(name string, der []byte) string {
	name, _, _ = strings.Cut(name, "KEY ")
	name = strings.TrimSpace(strings.TrimSuffix(name, "KEY")) + " KEY"
	return string(pem.EncodeToMemory(&pem.Block{Type: name, Bytes: der}))
}

// A key is one however it is written down: nothing of it leaves the device.
func TestAPrivateKeyIsHiddenInEveryForm(t *testing.T) {
	for name, ders := range privateKeys(t) {
		text := pemOf(name, ders[0])
		s := New([]string{strings.TrimSpace(text)})
		for i, der := range ders {
			std, digits := base64.StdEncoding.EncodeToString(der), hex.EncodeToString(der)
			for form, said := range map[string]string{
				"as it is":            pemOf(name, der),
				"without line breaks": std,
				"lines of 48":         wrapped(std, 48, "  ", "\n"),
				"lines of 76":         wrapped(std, 76, "", "\r\n"),
				"as JSON":             fmt.Sprintf("%q", pemOf(name, der)),
				"for a URL":           base64.RawURLEncoding.EncodeToString(der),
				"behind a byte":       base64.StdEncoding.EncodeToString(append([]byte{1}, der...)),
				"hex":                 digits,
				"hex in pairs":        wrapped(wrapped(digits, 2, "", ":"), 45, "    ", "\n"),
				"HEX":                 strings.ToUpper(digits),
			} {
				hid, _ := unbroken(s.Hide("before\n" + said + "\nbehind"))
				for _, key := range keyForms(text) {
					for at := 0; at+2*window <= len(key); at++ {
						if part := key[at : at+2*window]; strings.Contains(hid, part) || strings.Contains(strings.ToLower(hid), part) {
							t.Fatalf("%s, encoding %d, %s: %q was told", name, i, form, part)
						}
					}
				}
				if !strings.HasPrefix(hid, "before") || !strings.HasSuffix(hid, "behind") {
					t.Errorf("%s, %s: what is around it became %q", name, form, hid)
				}
			}
		}
	}
}

// The last line of a file may be short; behind the others it is not told.
func TestTheLinesOfAKeyAreHidden(t *testing.T) {
	for name, ders := range privateKeys(t) {
		text := pemOf(name, ders[0])
		s := New([]string{text})
		for _, line := range keyLines(text) {
			if got := s.Hide("of the key " + line + " one"); strings.Contains(got, line) {
				t.Errorf("%s: a line was told: %s", name, got)
			}
		}
	}
}

// What a key has in common with a certificate, or with any text, may be told.
func TestWhatIsPublicInAKeyIsNotHidden(t *testing.T) {
	ec, err := ecdsa.GenerateKey(elliptic.P256(), rand.Reader)
	if err != nil {
		t.Fatal(err)
	}
	r, err := rsa.GenerateKey(rand.Reader, 2048)
	if err != nil {
		t.Fatal(err)
	}
	for _, key := range []crypto.Signer{ec, r} {
		der, err := x509.MarshalPKCS8PrivateKey(key)
		if err != nil {
			t.Fatal(err)
		}
		s := New([]string{pemOf("PRIVATE KEY", der)})
		for n := range 6 { // wherever the public key begins in it
			csr, err := x509.CreateCertificateRequest(rand.Reader, &x509.CertificateRequest{Subject: pkix.Name{CommonName: strings.Repeat("x", n+1)}}, key)
			if err != nil {
				t.Fatal(err)
			}
			said := string(pem.EncodeToMemory(&pem.Block{Type: "CERTIFICATE REQUEST", Bytes: csr})) + "-----BEGIN PRIVATE KEY-----\nAQ==\n-----END PRIVATE KEY-----\nPRIVATE KEY"
			if got := s.Hide(said); got != said {
				t.Errorf("%T: got %s, want %s", key, got, said)
			}
		}
	}
}

// A login and an address hold a password in a form of their own.
func TestAPasswordIsHiddenInALoginAndAnAddress(t *testing.T) {
	const password = "päss/word+1"
	s := New([]string{password})
	for name, said := range map[string]string{
		"login":   "Authorization: Basic " + base64.StdEncoding.EncodeToString([]byte("gw-1:"+password)),
		"address": "https://gw-1:p%C3%A4ss%2Fword+1@host/",
		"form":    "password=p%C3%A4ss%2Fword%2B1&x=y",
	} {
		if got := s.Hide(said); !strings.Contains(got, Mask) {
			t.Errorf("%s: %s was told", name, got)
		}
	}
}
