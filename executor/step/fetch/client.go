package fetch

import (
	"crypto/tls"
	"errors"
	"fmt"
	"net/http"
	"time"

	"github.com/ratchetd/ratchet/executor/step/policy"
)

// maxHeader bounds the header of an answer: Go reads 10 MB of one, and needs three
// times that for it.
const maxHeader = 64 << 10

// NewClient is a client of one's own, with the proxy of the environment, that
// checks certificates against this clock: a board without one may come up years
// before they were made.
func NewClient(now func() time.Time) *http.Client {
	t := http.DefaultTransport.(*http.Transport).Clone() // it has the environment's proxy
	t.DisableCompression = true
	t.MaxResponseHeaderBytes = maxHeader
	t.TLSClientConfig = &tls.Config{Time: now}
	return &http.Client{Transport: t}
}

// ErrRefused is a redirect that was not followed.
var ErrRefused = errors.New("refused")

// WithRules is client, or one of its own, which follows no redirect that would
// show a secret: not from https to http, and without the job's headers and the
// referring URL to another host; nor to a host, or an address, that the owner does
// not allow.
func WithRules(client *http.Client, secret map[string]string, policy policy.Policy) *http.Client {
	if client == nil || client.Transport == nil {
		client = NewClient(nil)
	}
	c := *client
	if t, ok := c.Transport.(*http.Transport); ok && policy.URLs != nil {
		t = t.Clone() // no connection outlives what this client is for
		t.DialContext = policy.Dial
		c.Transport = t
	}
	c.CheckRedirect = func(req *http.Request, via []*http.Request) error {
		last := via[len(via)-1].URL
		switch {
		case len(via) > 10:
			return fmt.Errorf("more than 10 redirects: %w", ErrRefused)
		case last.Scheme == "https" && req.URL.Scheme != "https":
			return fmt.Errorf("redirect from https to %s: %w", req.URL.Scheme, ErrRefused)
		}
		if err := policy.URL(req.URL.String()); err != nil {
			return fmt.Errorf("redirect: %w: %w", err, ErrRefused)
		}
		req.Header.Del("Referer")
		if req.URL.Host != via[0].URL.Host {
			for name := range secret {
				req.Header.Del(name)
			}
		}
		return nil
	}
	return &c
}
