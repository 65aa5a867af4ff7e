package fetch

import (
	"context"
	"errors"
	"fmt"
	"net/http"
	"net/url"
	"time"

	"github.com/ratchetd/ratchet/executor"
	"github.com/ratchetd/ratchet/executor/backoff"
	"github.com/ratchetd/ratchet/executor/redact"
	"github.com/ratchetd/ratchet/executor/step/policy"
	"github.com/ratchetd/ratchet/updater"
)

// maxSignature bounds a minisign signature: four lines, of which two are comments.
const maxSignature = 4 << 10

// CheckSignature checks a step's signature, its text or the URL of it, against
// the keys that the owner trusts. Of no device's owner is that known.
func CheckSignature(signature string, keys []string, p policy.Policy, unowned bool) error {
	switch {
	case signature == "" && len(keys) > 0:
		return errors.New("signature: policy.keys is set, so what is installed must be signed with one of those keys")
	case signature == "":
		return nil
	case len(keys) == 0 && !unowned:
		return errors.New("signature: policy.keys is empty, so there is nothing to check it against: set it, or leave out the signature")
	case len(signature) > maxSignature:
		return fmt.Errorf("signature: %d bytes: a minisign signature has at most %d", len(signature), maxSignature)
	case updater.IsSignature(signature):
		return nil
	case !IsURL(signature):
		return errors.New("signature: want the text of a minisign signature, or the address where it is to be had")
	}
	return p.URL(signature)
}

// signatureTries take some 30 seconds in all.
const signatureTries = 6

// Signature is the text of a signature, brought from its URL where it is one.
func Signature(ctx context.Context, signature string, p policy.Policy, client *http.Client) (string, error) {
	if signature == "" || updater.IsSignature(signature) {
		return signature, nil
	}
	client = WithRules(client, nil, p)
	defer client.CloseIdleConnections()
	pause := backoff.Pause{First: time.Second, Most: 16 * time.Second}
	for try := 1; ; try++ {
		text, err := getSmall(ctx, client, signature)
		if err == nil || IsFinal(err) || try == signatureTries {
			return text, err
		}
		if err := executor.Sleep(ctx, nil, backoff.Jitter(pause.Next())); err != nil {
			return "", err
		}
	}
}

func getSmall(ctx context.Context, client *http.Client, address string) (string, error) {
	ctx, cancel := context.WithTimeout(ctx, time.Minute)
	defer cancel()
	resp, err := Get(ctx, client, address)
	if err != nil {
		return "", err
	}
	defer resp.Body.Close()
	text, err := short(resp, maxSignature)
	return string(text), err
}

// Get asks for all that lies at address. An error that trying again does not
// cure is final.
func Get(ctx context.Context, client *http.Client, address string) (*http.Response, error) {
	req, err := http.NewRequestWithContext(ctx, http.MethodGet, address, nil)
	if err != nil {
		return nil, Finally(errors.New("url: not a URL")) // the error itself would show it
	}
	req.Header.Set("Accept-Encoding", "identity")
	resp, err := client.Do(req)
	if err != nil {
		if u := new(url.Error); errors.As(err, &u) { // it would show the query
			err = u.Err
		}
		err = fmt.Errorf("GET %s: %w", redact.URL(address), err)
		if IsLasting(err) {
			err = Finally(err)
		}
		return nil, err
	}
	if resp.StatusCode == http.StatusOK {
		return resp, nil
	}
	_ = resp.Body.Close() // nobody wants it
	err = fmt.Errorf("GET %s: %s", redact.URL(address), resp.Status)
	if !IsPassing(resp.StatusCode) {
		err = Finally(err)
	}
	return nil, err
}
