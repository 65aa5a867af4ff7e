package upload

import (
	"cmp"
	"context"
	"crypto/sha256"
	"encoding/base64"
	"errors"
	"fmt"
	"io"
	"net/http"
	"net/url"
	"time"

	"github.com/ratchetd/ratchet/executor"
	"github.com/ratchetd/ratchet/executor/backoff"
	"github.com/ratchetd/ratchet/executor/redact"
	"github.com/ratchetd/ratchet/executor/step/fetch"
	"github.com/ratchetd/ratchet/executor/step/inputs"
	"github.com/ratchetd/ratchet/executor/step/safefile"
)

// maxTries is how often one step sends its bytes at most: each try begins at
// the first byte, and the link may be paid by the byte.
const maxTries = 10

// upload is one attempt at an upload step.
type upload struct {
	Kind
	t        *executor.Task
	with     uploadWith
	to       string // the whole URL
	file     inputs.File
	size     int64
	sum      []byte
	tries    int       // in which bytes were sent
	deadline time.Time // by then one must have been sent
	asked    time.Duration
	refusals fetch.Refusals
}

// digest reads the file for its size and checksum, which go before it.
func (u *upload) digest(ctx context.Context) error {
	file, err := u.file.Open()
	if err != nil {
		return err
	}
	defer file.Close()
	info, err := file.Stat()
	if err != nil {
		return err
	}
	// Before it is read: a sparse file has its size without an end of blocks.
	if err := u.Policy.Size(info.Size()); err != nil {
		return err
	}
	sum := sha256.New()
	if u.size, err = io.Copy(sum, io.LimitReader(safefile.Reader(ctx, file), info.Size())); err != nil {
		return err
	}
	u.sum = sum.Sum(nil)
	return nil
}

func (u *upload) stall() time.Duration { return cmp.Or(u.Stall, 5*time.Minute) }

// loop tries until the server has all of it.
func (u *upload) loop(ctx context.Context) error {
	u.Client = fetch.WithRules(u.Client, u.with.Headers.Filled(), u.Policy)
	defer u.Client.CloseIdleConnections()
	// To follow one would show another server what only this one was to get.
	u.Client.CheckRedirect = func(*http.Request, []*http.Request) error { return http.ErrUseLastResponse }
	u.deadline = time.Now().Add(u.stall())
	pause := backoff.Pause{First: time.Second, Most: time.Minute}
	for {
		err := u.refusals.Judge(u.once(ctx))
		if err == nil {
			return nil
		}
		switch {
		case ctx.Err() != nil:
			return context.Cause(ctx)
		case fetch.IsFinal(err):
			return err
		case u.tries >= maxTries:
			return fmt.Errorf("given up after %d tries: %w", u.tries, err)
		}
		fmt.Fprintln(u.t.Output, err)
		if err := u.pause(ctx, err, u.refusals.Wait(backoff.Jitter(pause.Next()))); err != nil {
			return err
		}
		if errors.Is(err, errChanged) {
			if err := u.digest(ctx); err != nil {
				return err
			}
		}
	}
}

// pause waits before the next try, unless the time without a byte is over.
func (u *upload) pause(ctx context.Context, err error, wait time.Duration) error {
	if long := fetch.AskedWait(err); long > 0 {
		wait = long
		u.asked += wait
		u.deadline = u.deadline.Add(wait)
	}
	if u.asked > fetch.MaxAsked {
		return fmt.Errorf("%w; it asks to wait %s in all, more than an hour", err, u.asked)
	}
	left := time.Until(u.deadline)
	if left <= 0 {
		return fmt.Errorf("no byte for %s: %w", u.stall(), err)
	}
	return executor.Sleep(ctx, nil, min(wait, left))
}

// once sends all of it once.
func (u *upload) once(ctx context.Context) error {
	ctx, cancel := context.WithCancelCause(ctx)
	defer cancel(nil)
	idle := u.stall() / 2 // of one connection, so that there is time for another
	timer := time.AfterFunc(idle, func() { cancel(fetch.ErrIdle) })
	defer timer.Stop()
	file, err := u.file.Open()
	if err != nil {
		return fetch.Finally(err)
	}
	b := newBody(file, u.size, u.sum, func(sent int64) {
		timer.Reset(idle)
		u.t.Progress(float64(sent) / float64(max(u.size, 1)))
	})
	req, err := u.request(ctx, b)
	if err != nil {
		_ = b.end() // nothing was read of it
		return fetch.Finally(err)
	}
	resp, err := u.Client.Do(req)
	if err == nil {
		defer resp.Body.Close()
	}
	changed := b.end()
	if b.sent > 0 || changed != nil {
		u.tries++
	}
	if b.sent > 0 && b.sent < u.size { // a server that takes all and is silent brings no progress
		u.deadline = time.Now().Add(u.stall())
	}
	if err != nil || changed != nil {
		return u.plain(ctx, errors.Join(changed, err))
	}
	err = u.answer(resp)
	if err == nil && b.sent < u.size {
		err = fmt.Errorf("%s %s: %s, but before all of it was sent", u.with.Method, redact.URL(u.to), resp.Status)
	}
	return err
}

func (u *upload) request(ctx context.Context, b *body) (*http.Request, error) {
	req, err := http.NewRequestWithContext(ctx, u.with.Method, u.to, b)
	if err != nil {
		return nil, errors.New("url: not a URL") // the error itself would show it
	}
	req.ContentLength = u.size
	if u.size == 0 {
		req.Body = http.NoBody // else it goes in chunks, which no presigned URL takes
	}
	// A server that is busy says so before the bytes go; only without a wish to
	// keep the connection do they then not go all the same.
	req.Header.Set("Expect", "100-continue")
	req.Close = true
	// RFC 3230, and not Content-MD5 or Content-Type, for old presigned URLs sign
	// those two, nor x-amz-..., for new ones sign every one of that sort.
	req.Header.Set("Digest", "sha-256="+base64.StdEncoding.EncodeToString(u.sum))
	for name, value := range u.with.Headers.Filled() {
		req.Header.Set(name, value)
	}
	return req, nil
}

// answer judges what the server says.
func (u *upload) answer(resp *http.Response) error {
	status := fmt.Errorf("%s %s: %s", u.with.Method, redact.URL(u.to), resp.Status)
	switch code := resp.StatusCode; {
	case code >= 200 && code < 300:
		return nil
	case code == http.StatusTooManyRequests, code == http.StatusServiceUnavailable:
		return fetch.Later(status, resp)
	case fetch.IsPassing(code):
		return status
	case code >= 300 && code < 400:
		return fetch.Finally(fmt.Errorf("%w: an upload follows no redirect: give the URL that it leads to", status))
	case code == http.StatusForbidden:
		return fetch.Finally(fmt.Errorf("%w: a presigned URL may have expired, or want other headers", status))
	}
	return fetch.Finally(status)
}

// plain says what went wrong without the URL's secrets, which a url.Error
// holds.
func (u *upload) plain(ctx context.Context, err error) error {
	isFinal := fetch.IsLasting(err)
	switch inner := new(url.Error); {
	case errors.Is(err, errChanged):
		err = errChanged
	case context.Cause(ctx) == fetch.ErrIdle:
		err = errors.New("the connection takes nothing any more")
	case errors.As(err, &inner):
		err = inner.Err
	}
	err = fmt.Errorf("%s %s: %w", u.with.Method, redact.URL(u.to), err)
	if isFinal {
		return fetch.Finally(err)
	}
	return err
}

var errChanged = errors.New("the file changes while it is sent: send a copy")
