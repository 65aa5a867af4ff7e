package fetch

import (
	"context"
	"errors"
	"fmt"
	"net/http"
	"net/url"
	"time"

	"github.com/ratchetd/ratchet/executor/redact"
	"github.com/ratchetd/ratchet/executor/step/policy"
)

// ErrNotAllowed is an address that the owner's policy does not allow.
var ErrNotAllowed = errors.New("not allowed")

// Document is the short text that lies at an address, within a minute. A
// nil client is one of its own.
func Document(ctx context.Context, client *http.Client, address string, policy policy.Policy, most int64) ([]byte, error) {
	ctx, cancel := context.WithTimeout(ctx, time.Minute)
	defer cancel()
	if err := policy.URL(address); err != nil {
		return nil, fmt.Errorf("%w: %w", err, ErrNotAllowed)
	}
	req, err := http.NewRequestWithContext(ctx, http.MethodGet, address, nil)
	if err != nil {
		return nil, fmt.Errorf("%w: %w", err, ErrNotAllowed)
	}
	req.Header.Set("Accept-Encoding", "identity")
	client = WithRules(client, nil, policy)
	defer client.CloseIdleConnections()
	resp, err := client.Do(req)
	if err != nil {
		if u := new(url.Error); errors.As(err, &u) { // it would show the query
			err = u.Err
		}
		return nil, fmt.Errorf("GET %s: %w", redact.URL(address), err)
	}
	defer resp.Body.Close()
	if resp.StatusCode != http.StatusOK {
		return nil, fmt.Errorf("the server answered %s", resp.Status)
	}
	return short(resp, most)
}
