package fakecloud

import (
	"crypto/tls"
	"os"
	"path/filepath"

	"github.com/ratchetd/ratchet/scripts/authority"
)

// TLS is what a fake speaks with devices, by certificates that it makes in a
// folder: ca.crt is the authority that vouches for all, broker the fake's, for
// localhost and 127.0.0.1, and device, .crt and .key, that of the named device.
// A device may come without one.
func TLS(dir, device string) (*tls.Config, error) {
	if err := os.MkdirAll(dir, 0o700); err != nil {
		return nil, err
	}
	if err := authority.Write(dir, device); err != nil {
		return nil, err
	}
	pair, err := tls.LoadX509KeyPair(filepath.Join(dir, "broker.crt"), filepath.Join(dir, "broker.key"))
	if err != nil {
		return nil, err
	}
	pool, err := authority.Pool(filepath.Join(dir, "ca.crt"))
	if err != nil {
		return nil, err
	}
	return &tls.Config{Certificates: []tls.Certificate{pair}, ClientCAs: pool, ClientAuth: tls.VerifyClientCertIfGiven}, nil
}
