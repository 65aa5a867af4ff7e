package fetch

import (
	"crypto/tls"
	"crypto/x509"
	"errors"
	"net/http"

	"github.com/ratchetd/ratchet/executor/step/policy"
)

// IsLasting reports whether a request failed for a reason that neither the network nor
// time cures. There are three: what the owner's policy forbids, a redirect that must not be
// followed, and a certificate that is not the server's or that nobody trusts.
//
// All else passes, for as long as the caller is patient: names that are not found, connections
// that are refused, cut, or reset in a handshake. So does a certificate that is not valid yet
// or any more: a board's clock may be wrong by seconds or years until somebody sets it.
func IsLasting(err error) bool {
	var invalid x509.CertificateInvalidError
	if errors.As(err, &invalid) && invalid.Reason == x509.Expired {
		return false
	}
	return errors.As(err, new(*tls.CertificateVerificationError)) || errors.Is(err, ErrRefused) || errors.Is(err, policy.ErrUnnamed)
}

// IsPassing reports whether a server that answers with this status may answer otherwise in
// a while: it is overloaded, not ready, or was the wrong one of several.
func IsPassing(status int) bool {
	switch status {
	case http.StatusRequestTimeout, http.StatusMisdirectedRequest, http.StatusLocked, http.StatusTooEarly, http.StatusTooManyRequests:
		return true
	}
	return status >= 500 && status != http.StatusNotImplemented && status != http.StatusHTTPVersionNotSupported
}
