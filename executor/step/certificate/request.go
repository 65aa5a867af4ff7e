package certificate

import (
	"bytes"
	"cmp"
	"crypto"
	"crypto/ecdsa"
	"crypto/elliptic"
	"crypto/rand"
	"crypto/tls"
	"crypto/x509"
	"crypto/x509/pkix"
	"encoding/json"
	"encoding/pem"
	"errors"
	"fmt"
	"io/fs"
	"os"
	"strings"

	"github.com/ratchetd/ratchet/executor"
	"github.com/ratchetd/ratchet/executor/step/safefile"
)

// request makes the key, unless one is waiting already, and tells what the
// authority is to certify.
func (k Kind) request(t *executor.Task, s *certificateState, w *requestWith) error {
	key, err := k.pending()
	if errors.Is(err, fs.ErrNotExist) {
		key, err = k.make(t, s)
	} else if err == nil {
		err = k.Files.SyncExisting(k.Pending)
	}
	if err != nil {
		return fmt.Errorf("making a key: %w", err)
	}
	text, err := w.sign(k.Device, key)
	if err != nil {
		return err
	}
	t.Result, err = json.Marshal(map[string]string{"csr": string(text)})
	return err
}

func (w *requestWith) sign(device string, key crypto.Signer) ([]byte, error) {
	csr, err := x509.CreateCertificateRequest(rand.Reader, w.template(device), key)
	if err != nil {
		return nil, fmt.Errorf("making a request: %w", err)
	}
	return pem.EncodeToMemory(&pem.Block{Type: "CERTIFICATE REQUEST", Bytes: csr}), nil
}

func (w *requestWith) template(device string) *x509.CertificateRequest {
	list := func(text string) []string {
		if text == "" {
			return nil
		}
		return []string{text}
	}
	return &x509.CertificateRequest{DNSNames: w.DNSNames, Subject: pkix.Name{
		CommonName: cmp.Or(w.CommonName, device), Organization: list(w.Organization),
		OrganizationalUnit: list(w.OrganizationalUnit), Country: list(w.Country)}}
}

// pending is the key that waits for its certificate. One that cannot be read as
// a key is none.
func (k Kind) pending() (crypto.Signer, error) {
	text, err := os.ReadFile(k.Pending)
	if err != nil {
		return nil, err
	}
	for _, block := range privateKeys(text) {
		key, err := x509.ParsePKCS8PrivateKey(block.Bytes)
		if signer, ok := key.(crypto.Signer); ok && err == nil {
			return signer, nil
		}
	}
	return nil, fs.ErrNotExist
}

func (k Kind) make(t *executor.Task, s *certificateState) (crypto.Signer, error) {
	key, text, err := k.newKey()
	if err != nil {
		return nil, err
	}
	if err := k.keep(t, s, k.Pending); err != nil {
		return nil, err
	}
	return key, k.writeKey(text)
}

func (k Kind) newKey() (crypto.Signer, []byte, error) {
	draw := k.Draw
	if draw == nil {
		draw = func() (*ecdsa.PrivateKey, error) { return ecdsa.GenerateKey(elliptic.P256(), rand.Reader) }
	}
	key, err := draw()
	if err != nil {
		return nil, nil, err
	}
	der, err := x509.MarshalPKCS8PrivateKey(key)
	return key, pem.EncodeToMemory(&pem.Block{Type: "PRIVATE KEY", Bytes: der}), err
}

func (k Kind) writeKey(text []byte) error {
	return k.Files.Write(k.Pending, bytes.NewReader(text), safefile.Attrs{Mode: 0o600, UID: -1, GID: -1})
}

// Request is what request does, without a job: the PEM of a certificate request
// for the key in Pending, which is made where there is none.
func (k Kind) Request() ([]byte, error) {
	key, err := k.pending()
	if _, there := os.Stat(k.Pending); errors.Is(err, fs.ErrNotExist) && there == nil {
		return nil, fmt.Errorf("%s holds no private key (PKCS #8 in PEM): move it away to have one made", k.Pending)
	}
	if errors.Is(err, fs.ErrNotExist) {
		var text []byte
		if key, text, err = k.newKey(); err == nil {
			err = k.writeKey(text)
		}
	}
	if err != nil {
		return nil, fmt.Errorf("making a key: %w", err)
	}
	return (&requestWith{}).sign(k.Device, key)
}

// privateKeys are the blocks of a PEM file that hold private keys.
func privateKeys(text []byte) (keys []*pem.Block) {
	for block, rest := pem.Decode(text); block != nil; block, rest = pem.Decode(rest) {
		if block.Type == "PRIVATE KEY" || strings.HasSuffix(block.Type, " PRIVATE KEY") {
			keys = append(keys, block)
		}
	}
	return keys
}

// KeyPair is the certificate with its key, as they lie in PEM files. Of several
// keys in theirs it takes the one that fits: while a certificate is exchanged
// there are two.
func KeyPair(certificate, keys []byte) (tls.Certificate, error) {
	pair, err := tls.X509KeyPair(certificate, keys)
	if err == nil {
		return pair, nil
	}
	if key := keyOf(certificate, keys); key != nil {
		return tls.X509KeyPair(certificate, key)
	}
	return pair, err
}

// keyOf is the key that fits the certificate, or nil.
func keyOf(certificate, keys []byte) []byte {
	for _, block := range privateKeys(keys) {
		key := pem.EncodeToMemory(block)
		if _, err := tls.X509KeyPair(certificate, key); err == nil {
			return key
		}
	}
	return nil
}
