package fetch

import (
	"bytes"
	"context"
	"crypto/tls"
	"crypto/x509"
	"errors"
	"fmt"
	"io"
	"net"
	"net/http"
	"net/http/httptest"
	"net/url"
	"os"
	"path/filepath"
	"sync/atomic"
	"testing"
	"time"

	"github.com/ratchetd/ratchet/executor/step/policy"
)

// TestWhichErrorsAreFinal is the list: all that is not here passes.
func TestWhichErrorsAreFinal(t *testing.T) {
	verified := func(err error) error { return &tls.CertificateVerificationError{Err: err} }
	for _, c := range []struct {
		err  error
		want bool
	}{
		{verified(x509.UnknownAuthorityError{}), true},
		{verified(x509.HostnameError{Certificate: &x509.Certificate{}, Host: "b"}), true},
		{verified(x509.CertificateInvalidError{Cert: &x509.Certificate{}, Reason: x509.NotAuthorizedToSign}), true},
		{fmt.Errorf("redirect: %w", ErrRefused), true},
		{policy.ErrUnnamed, true},
		{verified(x509.CertificateInvalidError{Cert: &x509.Certificate{}, Reason: x509.Expired}), false}, // also: not valid yet
		{tls.AlertError(40), false},
		{tls.RecordHeaderError{Msg: "first record does not look like a TLS handshake"}, false},
		{&net.DNSError{Err: "no such host", IsNotFound: true}, false},
		{&net.OpError{Op: "dial", Err: os.NewSyscallError("connect", errors.New("connection refused"))}, false},
		{io.ErrUnexpectedEOF, false},
		{context.DeadlineExceeded, false},
	} {
		if got := IsLasting(&url.Error{Op: "Get", URL: "https://b", Err: c.err}); got != c.want {
			t.Errorf("%v: got %v", c.err, got)
		}
	}
	for status, want := range map[int]bool{400: false, 401: false, 403: false, 404: false, 410: false, 501: false, 505: false,
		408: true, 421: true, 423: true, 425: true, 429: true, 500: true, 502: true, 503: true, 504: true} {
		if got := IsPassing(status); got != want {
			t.Errorf("status %d: got %v", status, got)
		}
	}
}

// A clock that is behind makes a certificate one that is not valid yet: the download waits
// until it has been set.
func TestACertificateOfTomorrowIsWaitedFor(t *testing.T) {
	content := []byte("new")
	server := httptest.NewTLSServer(http.HandlerFunc(func(w http.ResponseWriter, _ *http.Request) { _, _ = w.Write(content) }))
	defer server.Close()
	roots := x509.NewCertPool()
	roots.AddCert(server.Certificate())
	var looks atomic.Int32
	client := NewClient(func() time.Time {
		if looks.Add(1) == 1 {
			return server.Certificate().NotBefore.Add(-14 * time.Second)
		}
		return time.Now()
	})
	client.Transport.(*http.Transport).TLSClientConfig.RootCAs = roots
	part := filepath.Join(t.TempDir(), "part")
	_, err := Download{URL: server.URL, Client: client, Part: part, Save: func(Checkpoint) error { return nil }, Progress: func(float64) {}, Note: io.Discard}.Run(t.Context())
	got, _ := os.ReadFile(part)
	if err != nil || !bytes.Equal(got, content) || looks.Load() < 2 {
		t.Errorf("got %q, %v after %d looks at the clock", got, err, looks.Load())
	}
}

// What is brought in one piece waits as well.
func TestAServerThatIsBusyIsNoFailure(t *testing.T) {
	for _, status := range []int{http.StatusTooManyRequests, http.StatusTooEarly, http.StatusRequestTimeout} {
		server := httptest.NewServer(http.HandlerFunc(func(w http.ResponseWriter, _ *http.Request) { w.WriteHeader(status) }))
		if _, err := Get(t.Context(), server.Client(), server.URL); err == nil || IsFinal(err) {
			t.Errorf("%d: got %v, want an error that passes", status, err)
		}
		server.Close()
	}
}
