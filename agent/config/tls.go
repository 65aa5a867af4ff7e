package config

import (
	"crypto/tls"
	"crypto/x509"
	"fmt"
	"net/url"
	"os"
	"strings"
	"time"

	"github.com/ratchetd/ratchet/executor/step"
)

// TLS is how the broker is verified, and how this device proves who it
// is. now is never below the time floor, so a clock that lost its time does
// not make every certificate look unborn.
func (c *Config) TLS(now func() time.Time) (*tls.Config, error) {
	conf := &tls.Config{MinVersion: tls.VersionTLS12, Time: now}
	conf.NextProtos = c.protocols()
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
	return step.KeyPair(cert, key)
}

// protocols is what TLS must ask for on port 443 of AWS, where MQTT shares a
// port with HTTPS: one name with a certificate, one with a custom authorizer.
func (c *Config) protocols() []string {
	u, err := url.Parse(c.Link.Broker)
	switch {
	case err != nil || c.Link.Dialect != "aws" || u.Scheme != "tls" || u.Port() != "443":
		return nil
	case c.Link.Cert != "":
		return []string{"x-amzn-mqtt-ca"}
	}
	return []string{"mqtt"}
}

// login is with what a device logs in, besides its certificate.
type login struct {
	Username, Password string
	Renew              time.Duration // after so long it logs in anew; 0: never
}

// Login is made anew for each connection: a password may be for some time only.
func (c *Config) Login(now time.Time) (login, error) {
	if c.Link.Dialect == "azure" {
		return c.azureLogin(now)
	}
	password, err := c.password()
	return login{Username: c.Link.Username, Password: password}, err
}

// password is what link.passwordFile holds, without the newline behind it.
func (c *Config) password() (string, error) {
	if c.Link.PasswordFile == "" {
		return "", nil
	}
	data, err := os.ReadFile(c.Link.PasswordFile)
	if err != nil {
		return "", fmt.Errorf("link.passwordFile: %w", err)
	}
	return strings.TrimRight(string(data), "\r\n"), nil
}
