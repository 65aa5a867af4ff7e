package enroll

import (
	"bytes"
	"cmp"
	"crypto/x509"
	"encoding/pem"
	"errors"
	"fmt"
	"os"
	"path/filepath"
	"strings"

	"github.com/ratchetd/ratchet/agent/config"
	"github.com/ratchetd/ratchet/agent/dialect/azure"
	"github.com/ratchetd/ratchet/executor/step/certificate"
	"github.com/ratchetd/ratchet/executor/step/safefile"
	"github.com/ratchetd/ratchet/telemetry"
)

// A secret is a file that the link's settings name.
type secret struct {
	name, text string
	setting    func(*config.Link) *string
}

const (
	maxToken  = 4 << 10
	maxSecret = 1 << 20 // a whole bundle of authorities has a quarter
)

// secrets are the files as they are to be, read from where they are.
func (e *Enrolment) secrets(dir string) (files []secret, err error) {
	if err := e.token(); err != nil {
		return nil, err
	}
	e.Dialect = cmp.Or(e.Dialect, config.ServiceAt(e.Broker).Name)
	switch {
	case e.Token != "" && e.service().Key:
		files = append(files, secret{config.LinkSAS, e.Token + "\n", func(l *config.Link) *string { return &l.SASKeyFile }})
	case e.Token != "":
		files = append(files, secret{config.LinkPassword, e.Token + "\n", func(l *config.Link) *string { return &l.PasswordFile }})
	}
	if e.Cert != "" && e.Key == "" { // the one that --csr made
		e.Key = filepath.Join(dir, config.LinkKey)
	}
	var errs []error
	for _, f := range []struct {
		flag, path, name string
		setting          func(*config.Link) *string
	}{
		{"--ca", e.CA, config.LinkCA, func(l *config.Link) *string { return &l.CA }},
		{"--key", e.Key, config.LinkKey, func(l *config.Link) *string { return &l.Key }},
		{"--cert", e.Cert, config.LinkCert, func(l *config.Link) *string { return &l.Cert }},
	} {
		if f.path == "" {
			continue
		}
		text, err := readSmall(f.path)
		if err != nil {
			errs = append(errs, fmt.Errorf("%s: %w", f.flag, err))
		}
		files = append(files, secret{f.name, text, f.setting})
	}
	return files, errors.Join(errs...)
}

func readSmall(path string) (string, error) {
	info, err := os.Stat(path)
	switch {
	case err != nil:
		return "", err
	case !info.Mode().IsRegular():
		return "", fmt.Errorf("%s is no file", path)
	case info.Size() > maxSecret:
		return "", fmt.Errorf("%s has %d bytes: want at most %d", path, info.Size(), maxSecret)
	}
	text, err := os.ReadFile(path)
	return string(text), err
}

// token takes what Token holds apart: it may be what Azure shows for a device,
// which names the hub and the device too.
func (e *Enrolment) token() error {
	e.Token = strings.TrimSpace(e.Token)
	if len(e.Token) > maxToken || strings.ContainsAny(e.Token, "\r\n\x00") {
		return fmt.Errorf("--token-file: want one line of at most %d bytes", maxToken)
	}
	host, device, key, ok, err := azure.ParseConnectionString(e.Token)
	switch {
	case err != nil:
		return fmt.Errorf("--token-file: %w", err)
	case !ok:
		return nil
	case e.Device != "" && e.Device != device:
		return fmt.Errorf("--device: %q: the connection string is that of %q", e.Device, device)
	}
	e.Token, e.Device, e.Dialect = key, device, cmp.Or(e.Dialect, azure.Service.Name)
	e.Broker = cmp.Or(e.Broker, "tls://"+host+":8883")
	return nil
}

// stage writes the files below dir, which nobody else can look into, for the
// settings to be tried with them.
func stage(dir string, files []secret) error {
	if err := os.RemoveAll(dir); err != nil {
		return err
	}
	if err := os.Mkdir(dir, 0o700); err != nil {
		return err
	}
	for _, f := range files {
		if err := os.WriteFile(filepath.Join(dir, f.name), []byte(f.text), 0o600); err != nil {
			return err
		}
	}
	return nil
}

// RequestCertificate makes a request for the device's certificate, and a key for
// it where link.key beside the configuration holds none yet. It returns where
// the request lies.
func RequestCertificate(path, device string, say func(string)) (string, error) {
	path, err := filepath.Abs(path)
	if err != nil {
		return "", err
	}
	if err := begin(path, say); err != nil {
		return "", err
	}
	var as config.Draft
	if device != "" {
		as = config.Draft{Name: enrolled, Content: fmt.Sprintf("device = %q\n", device)}
	}
	c, err := config.LoadDraft(path, as, telemetry.PermanentMAC)
	if err != nil {
		return "", err
	}
	key, csr := filepath.Join(c.Dir(), config.LinkKey), filepath.Join(c.Dir(), config.LinkCSR)
	text, err := certificate.Kind{Pending: key, Device: c.Device}.Request()
	if err != nil {
		return "", err
	}
	if was, err := os.ReadFile(csr); err == nil && sameRequest(was, text) {
		say("nothing was changed: the request is there already")
		return csr, nil
	}
	say("wrote " + csr + ", for the key in " + key)
	return csr, safefile.WriteFile(csr, string(text), 0o644)
}

// sameRequest reports whether both ask for the same: each has a signature of its own.
func sameRequest(a, b []byte) bool {
	var asks [2]*x509.CertificateRequest
	for i, text := range [][]byte{a, b} {
		block, _ := pem.Decode(text)
		if block == nil {
			return false
		}
		r, err := x509.ParseCertificateRequest(block.Bytes)
		if err != nil {
			return false
		}
		asks[i] = r
	}
	return bytes.Equal(asks[0].RawSubject, asks[1].RawSubject) && bytes.Equal(asks[0].RawSubjectPublicKeyInfo, asks[1].RawSubjectPublicKeyInfo)
}
