package certificate

import (
	"bytes"
	"context"
	"crypto/x509"
	"encoding/json"
	"encoding/pem"
	"errors"
	"fmt"
	"io/fs"
	"os"
	"time"

	"github.com/ratchetd/ratchet/executor"
	"github.com/ratchetd/ratchet/executor/step/safefile"
)

type installWith struct {
	Certificate string `json:"certificate"`
	Chain       string `json:"chain"`

	pem  []byte // both, the certificate first
	leaf *x509.Certificate
}

// read takes what the authority has issued: the certificate first, then each one
// that signed the one before it.
func (w *installWith) read() error {
	for field, text := range map[string]string{"certificate": w.Certificate, "chain": w.Chain} {
		if err := onlyCertificates(text); err != nil {
			return fmt.Errorf("install.%s: %w", field, err)
		}
	}
	if w.Certificate == "" {
		return errors.New("install.certificate: want the certificate as PEM")
	}
	var certs []*x509.Certificate
	block, rest := pem.Decode([]byte(w.Certificate + "\n" + w.Chain))
	for ; block != nil; block, rest = pem.Decode(rest) {
		cert, err := x509.ParseCertificate(block.Bytes)
		if err != nil {
			return fmt.Errorf("install: certificate %d: %w", len(certs)+1, err)
		}
		if n := len(certs); n > 0 && certs[n-1].CheckSignatureFrom(cert) != nil {
			return fmt.Errorf("install.chain: %q did not sign %q: want each certificate behind the one that it signed", cert.Subject, certs[n-1].Subject)
		}
		certs = append(certs, cert)
		w.pem = append(w.pem, pem.EncodeToMemory(block)...)
	}
	w.leaf = certs[0]
	return nil
}

// onlyCertificates refuses what is no list of certificates in PEM: a private key
// that somebody has sent along must not end in a file that others may read.
func onlyCertificates(text string) error {
	rest := bytes.TrimSpace([]byte(text))
	for len(rest) > 0 {
		block, after := pem.Decode(rest)
		if block == nil || block.Type != "CERTIFICATE" {
			return errors.New("want nothing but certificates as PEM")
		}
		rest = bytes.TrimSpace(after)
	}
	return nil
}

// early is how long a certificate may begin behind what a clock that is set shows: it is
// waited for. The authority's clock may be a little ahead.
const early = 5 * time.Minute

// begun waits until the certificate is valid.
func (k Kind) begun(ctx context.Context, t *executor.Task, w *installWith) error {
	now, sane := k.now()
	wait := w.leaf.NotBefore.Sub(now)
	if !sane || wait <= 0 {
		return nil
	}
	fmt.Fprintf(t.Output, "waiting until the certificate begins, at %s\n", w.leaf.NotBefore.UTC().Format(time.RFC3339))
	return executor.Sleep(ctx, t.Stopping, wait)
}

// fitting is the key on this device that the certificate is for: the one that
// waits for it or, where the authority only certified again, the present one.
func (k Kind) fitting(w *installWith) ([]byte, error) {
	switch now, sane := k.now(); {
	case !now.Before(w.leaf.NotAfter):
		return nil, fmt.Errorf("install.certificate: it ended on %s", w.leaf.NotAfter.UTC().Format(time.RFC3339))
	case sane && w.leaf.NotBefore.Sub(now) > early:
		return nil, fmt.Errorf("install.certificate: it does not begin before %s", w.leaf.NotBefore.UTC().Format(time.RFC3339))
	}
	for _, path := range []string{k.Pending, k.Key} {
		text, err := os.ReadFile(path)
		if err != nil && !errors.Is(err, fs.ErrNotExist) {
			return nil, err
		}
		if key := keyOf(w.pem, text); key != nil {
			return key, nil
		}
	}
	return nil, errors.New("install.certificate: it is for a key that this device does not have: have one signed that it requests")
}

// install exchanges the certificate and its key. A power cut at any moment
// leaves a certificate whose key lies in the key's file.
func (k Kind) install(ctx context.Context, t *executor.Task, s *certificateState, w *installWith) error {
	key, err := k.fitting(w)
	if err == nil {
		err = k.begun(ctx, t, w)
	}
	if err != nil {
		return err
	}
	cert, err := safefile.Resolve(k.Cert)
	if err != nil {
		return err
	}
	file, err := safefile.Resolve(k.Key)
	if err != nil {
		return err
	}
	if err := k.keep(t, s, cert, file); err != nil {
		return err
	}
	if err := k.exchange(s, w.pem, key); err != nil {
		return err
	}
	t.Result, err = json.Marshal(map[string]string{"subject": w.leaf.Subject.String(),
		"issuer": w.leaf.Issuer.String(), "notAfter": w.leaf.NotAfter.UTC().Format(time.RFC3339)})
	return err
}

func (k Kind) exchange(s *certificateState, cert, key []byte) error {
	old, err := readIfThere(s.Undo[1].Was.Path)
	if err != nil {
		return err
	}
	both := withKeys(key, old)
	if err := k.put(s.Undo[1].Was, both, 0o600); err != nil {
		return err
	}
	if err := k.put(s.Undo[0].Was, cert, 0o644); err != nil || bytes.Equal(both, key) {
		return err
	}
	return k.put(s.Undo[1].Was, key, 0o600)
}

// put writes a file that has the attributes of the one that was there.
func (k Kind) put(was *safefile.Entry, text []byte, mode uint32) error {
	a := was.Attrs
	if was.Absent {
		a = safefile.Attrs{Mode: mode, UID: -1, GID: -1}
	}
	return k.Files.Write(was.Path, bytes.NewReader(text), a)
}

// both lets the file hold the old key, which lies at kept, and the new one: what
// an exchange back begins with.
func (k Kind) both(kept, path string) error {
	old, err := readIfThere(kept)
	if err != nil || old == nil { // there was no key before
		return err
	}
	now, err := safefile.Stat(path)
	if err != nil || now.Absent {
		return err
	}
	text, err := os.ReadFile(path)
	if err != nil || bytes.Equal(text, old) {
		return err
	}
	return k.put(&now, withKeys(old, text), 0o600)
}

func readIfThere(path string) ([]byte, error) {
	text, err := os.ReadFile(path)
	if errors.Is(err, fs.ErrNotExist) {
		return nil, nil
	}
	return text, err
}

// withKeys is the text with the keys behind it that it does not hold.
func withKeys(text, more []byte) []byte {
	all := bytes.Clone(text)
	for _, block := range privateKeys(more) {
		if key := pem.EncodeToMemory(block); !bytes.Contains(all, bytes.TrimSpace(key)) {
			all = append(append(bytes.TrimRight(all, "\n"), '\n'), key...)
		}
	}
	return all
}

// Confirm implements executor.Confirmer: the key waits for nothing any more.
func (k Kind) Confirm(_ context.Context, t *executor.Task) error {
	w, err := k.parse(t.With)
	if err != nil || w.Install == nil {
		return err
	}
	waiting, err := readIfThere(k.Pending)
	if err != nil || keyOf(w.Install.pem, waiting) == nil {
		return err
	}
	return k.Files.RemoveDurably(k.Pending)
}
