package main

import (
	"crypto/ecdsa"
	"crypto/rand"
	"crypto/tls"
	"crypto/x509"
	"encoding/json"
	"encoding/pem"
	"errors"
	"fmt"
	"math/big"
	"os"
	"path/filepath"
	"time"

	"github.com/rogpeppe/go-internal/testscript"

	"github.com/ratchetd/ratchet/agent/dialect"
	"github.com/ratchetd/ratchet/scripts/authority"
)

// cmdCertify is the owner's authority: it signs what a job has requested.
func cmdCertify(ts *testscript.TestScript, _ bool, args []string) {
	s := siteOf(ts)
	folder := s.broker.dir
	if len(args) > 1 {
		folder = filepath.Join(s.dir, args[1])
		ts.Check(os.MkdirAll(folder, 0o700))
		ts.Check(authority.Write(folder, "gw-1"))
	}
	ts.Check(s.certify(args[0], folder))
}

// certify lets documents name ${CERTIFICATE}, as it stands in JSON, what the
// authority in a folder makes of a job's request.
func (s *site) certify(job, folder string) error {
	s.watcher.mu.Lock()
	status, err := dialect.ParseStatus(s.watcher.last["device/gw-1/jobs/"+job])
	s.watcher.mu.Unlock()
	if err != nil || len(status.Steps) == 0 {
		return fmt.Errorf("job %s has no status: %w", job, err)
	}
	var result struct{ CSR string }
	if err := json.Unmarshal(status.Steps[0].Result, &result); err != nil {
		return err
	}
	cert, err := certifyCSR(result.CSR, folder)
	if err != nil {
		return err
	}
	text, err := json.Marshal(cert)
	s.vars["CERTIFICATE"] = string(text[1 : len(text)-1])
	return err
}

func certifyCSR(text, folder string) (string, error) {
	block, _ := pem.Decode([]byte(text))
	if block == nil {
		return "", errors.New("the request is no PEM")
	}
	csr, err := x509.ParseCertificateRequest(block.Bytes)
	if err == nil {
		err = csr.CheckSignature()
	}
	if err != nil {
		return "", err
	}
	ca, err := tls.LoadX509KeyPair(filepath.Join(folder, "ca.crt"), filepath.Join(folder, "ca.key"))
	if err != nil {
		return "", err
	}
	form := &x509.Certificate{SerialNumber: big.NewInt(time.Now().UnixNano()), Subject: csr.Subject, ExtKeyUsage: []x509.ExtKeyUsage{x509.ExtKeyUsageClientAuth},
		NotBefore: time.Now().Add(-time.Hour), NotAfter: time.Now().Add(90 * 24 * time.Hour)}
	der, err := x509.CreateCertificate(rand.Reader, form, ca.Leaf, csr.PublicKey, ca.PrivateKey.(*ecdsa.PrivateKey))
	return string(pem.EncodeToMemory(&pem.Block{Type: "CERTIFICATE", Bytes: der})), err
}
