package config

import (
	"crypto/tls"
	"crypto/x509"
	"fmt"
	"os"
	"time"

	"github.com/ratchetd/ratchet/executor/step/certificate"
)

// TLS is how the broker is verified, and how this device proves who it
// is. now is never below the time floor, so a clock that lost its time does
// not make every certificate look unborn.
func (c *Config) TLS(now func() time.Time) (*tls.Config, error) {
	conf := &tls.Config{MinVersion: tls.VersionTLS12, Time: now}
	_, conf.NextProtos = c.Service().Find(c.settings())
	if c.Link.CA != "" {
		pem, err := os.ReadFile(c.Link.CA)
		if err != nil {
			return nil, fmt.Errorf("link.ca: %w", err)
		}
		conf.RootCAs = x509.NewCertPool()
		if !conf.RootCAs.AppendCertsFromPEM(pem) {
			return nil, fmt.Errorf("link.ca: %s holds no PEM certificate", c.Link.CA)
		}
	}
	if c.Link.Cert == "" {
		return conf, nil
	}
	pair, err := c.Pair()
	if err != nil {
		return nil, fmt.Errorf("link.cert and link.key: %w", err)
	}
	conf.Certificates = []tls.Certificate{pair}
	return conf, nil
}

// Pair is what this device proves itself with.
func (c *Config) Pair() (tls.Certificate, error) {
	cert, err := os.ReadFile(c.Link.Cert)
	if err != nil {
		return tls.Certificate{}, err
	}
	key, err := os.ReadFile(c.Link.Key)
	if err != nil {
		return tls.Certificate{}, err
	}
	return certificate.KeyPair(cert, key)
}
