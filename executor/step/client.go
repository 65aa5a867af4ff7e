package step

import (
	"errors"
	"fmt"
	"net/http"
)

var errRefused = errors.New("refused")

// withRules is client, or one of its own, which follows no redirect that would
// show a secret: not from https to http, and without the job's headers and the
// referring URL to another host; nor to a host that the owner does not allow.
func withRules(client *http.Client, secret map[string]string, policy Policy) *http.Client {
	c := http.Client{}
	if client != nil {
		c = *client
	}
	if c.Transport == nil {
		t := http.DefaultTransport.(*http.Transport).Clone() // it has the environment's proxy
		t.DisableCompression = true
		c.Transport = t
	}
	c.CheckRedirect = func(req *http.Request, via []*http.Request) error {
		last := via[len(via)-1].URL
		switch {
		case len(via) > 10:
			return fmt.Errorf("more than 10 redirects: %w", errRefused)
		case last.Scheme == "https" && req.URL.Scheme != "https":
			return fmt.Errorf("redirect from https to %s: %w", req.URL.Scheme, errRefused)
		}
		if err := policy.URL(req.URL.String()); err != nil {
			return fmt.Errorf("redirect: %w: %w", err, errRefused)
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
