package fetch

import (
	"context"
	"errors"
	"fmt"
	"io"
	"net/http"
	"net/url"
	"strconv"
	"strings"
	"time"

	"github.com/ratchetd/ratchet/executor/redact"
)

// Later is err as that of an answer that says: not now.
func Later(err error, resp *http.Response) error { return retryAfter{err, parseRetryAfter(resp)} }

// AskedWait is how long the answer that err tells of asks to wait; 0 when it does not.
func AskedWait(err error) time.Duration {
	var busy retryAfter
	errors.As(err, &busy)
	return busy.wait
}

type retryAfter struct {
	error
	wait time.Duration
}

// outdated says that the part is no beginning of what the server has now.
type outdated struct{ error }

// ErrIdle is a connection that stands still.
var ErrIdle = errors.New("the connection brings nothing any more")

// once asks for the rest and takes what comes. A nil error is the end.
func (x *transfer) once(ctx context.Context) error {
	ctx, cancel := context.WithCancelCause(ctx)
	defer cancel(nil)
	idle := time.AfterFunc(x.idle(), func() { cancel(ErrIdle) })
	defer idle.Stop()
	req, err := x.request(ctx)
	if err != nil {
		return Finally(err)
	}
	resp, err := x.Client.Do(req)
	if err != nil {
		return x.plain(ctx, err)
	}
	defer resp.Body.Close()
	if err := x.answer(resp); err != nil {
		return err
	}
	err = x.copy(ctx, &awake{resp.Body, func(n int) {
		idle.Reset(x.idle())
		x.deadline = time.Now().Add(x.Stall)
		if err := x.floor.Came(n); err != nil {
			cancel(err)
		}
	}})
	if err != nil {
		return x.plain(ctx, err)
	}
	return nil
}

// idle is how long one connection may bring nothing: shorter than the whole
// stall, so that a half-open one is given up and another tried.
func (x *transfer) idle() time.Duration { return min(time.Minute, x.Stall) }

// awake tells of every byte.
type awake struct {
	r    io.Reader
	tell func(n int)
}

func (a *awake) Read(p []byte) (int, error) {
	n, err := a.r.Read(p)
	if n > 0 {
		a.tell(n)
	}
	return n, err
}

func (x *transfer) request(ctx context.Context) (*http.Request, error) {
	req, err := http.NewRequestWithContext(ctx, http.MethodGet, x.URL, nil)
	if err != nil {
		return nil, errors.New("url: not a URL") // the error itself would show it
	}
	for name, value := range x.Header {
		req.Header.Set(name, value)
	}
	req.Header.Set("Accept-Encoding", "identity")
	if x.done > 0 && x.at.Validator == "" {
		if err := x.restart(); err != nil {
			return nil, err
		}
	}
	if x.done > 0 {
		req.Header.Set("Range", fmt.Sprintf("bytes=%d-", x.done))
		req.Header.Set("If-Range", x.at.Validator)
	}
	return req, nil
}

// answer judges the head of an answer and makes the part ready for its body.
func (x *transfer) answer(resp *http.Response) error {
	status := fmt.Errorf("GET %s: %s", redact.URL(x.URL), resp.Status)
	if x.encoding = encodingOf(resp); x.SHA256 == "" {
		if err := unpacked(resp); err != nil {
			return Finally(err)
		}
	}
	switch code := resp.StatusCode; {
	case code == http.StatusOK:
		return orFinal(x.whole(resp))
	case code == http.StatusPartialContent && x.done > 0 && x.goesOn(resp):
		return orFinal(x.room())
	case x.done > 0 && (code == http.StatusPartialContent || code == http.StatusPreconditionFailed ||
		code == http.StatusRequestedRangeNotSatisfiable):
		if err := x.restart(); err != nil {
			return Finally(err)
		}
		return outdated{status}
	case code == http.StatusTooManyRequests, code == http.StatusServiceUnavailable:
		return Later(status, resp)
	case IsPassing(code):
		return status
	}
	return Finally(status)
}

func orFinal(err error) error {
	if err != nil {
		return Finally(err)
	}
	return nil
}

// whole takes an answer that holds all of it.
func (x *transfer) whole(resp *http.Response) error {
	if x.done > 0 {
		if err := x.restart(); err != nil {
			return err
		}
	}
	return x.begin(Checkpoint{Validator: validator(resp.Header), Size: max(resp.ContentLength, 0), Boot: x.Boot})
}

// goesOn reports whether a 206 holds what follows on the part, of the same file.
func (x *transfer) goesOn(resp *http.Response) bool {
	first, total, ok := parseContentRange(resp.Header.Get("Content-Range"))
	if !ok || first != x.done || x.at.Size > 0 && total > 0 && total != x.at.Size {
		return false
	}
	if now := resp.Header.Get("ETag"); now != "" && strings.HasPrefix(x.at.Validator, `"`) && now != x.at.Validator {
		return false
	}
	x.at.Size = max(x.at.Size, total)
	x.resumed = true
	return true
}

// restart empties the part.
func (x *transfer) restart() error {
	x.restarts++
	if x.restarts > MaxRestarts {
		return fmt.Errorf("GET %s: the server closes early and cannot resume: given up after %d beginnings", redact.URL(x.URL), x.restarts)
	}
	fmt.Fprintln(x.Note, "beginning again: the server does not go on where the part ends")
	return x.empty()
}

// parseContentRange reads "bytes 5-9/10"; a total of "*" is 0.
func parseContentRange(s string) (first, total int64, ok bool) {
	var last int64
	s, size, found := strings.Cut(s, "/")
	if n, err := fmt.Sscanf(s, "bytes %d-%d", &first, &last); n != 2 || err != nil || !found || last < first {
		return 0, 0, false
	}
	if size == "*" {
		return first, 0, true
	}
	total, err := strconv.ParseInt(size, 10, 64)
	return first, total, err == nil && last < total
}

// validator is what If-Range can take: a strong ETag, or else the date.
func validator(h http.Header) string {
	if tag := h.Get("ETag"); strings.HasPrefix(tag, `"`) {
		return tag
	}
	return h.Get("Last-Modified")
}

func parseRetryAfter(resp *http.Response) time.Duration {
	s := resp.Header.Get("Retry-After")
	if seconds, err := strconv.Atoi(s); err == nil && seconds > 0 {
		return time.Duration(min(seconds, 1e6)) * time.Second
	}
	if at, err := http.ParseTime(s); err == nil {
		// Against the server's own clock: the device's may be wrong.
		if now, err := http.ParseTime(resp.Header.Get("Date")); err == nil {
			return max(0, at.Sub(now))
		}
	}
	return 0
}

// plain says what went wrong without the URL's secrets, which a url.Error
// holds.
func (x *transfer) plain(ctx context.Context, err error) error {
	isFinal := IsFinal(err) || IsLasting(err)
	if u := new(url.Error); errors.As(err, &u) {
		err = u.Err
	}
	switch cause := context.Cause(ctx); cause {
	case ErrIdle, ErrSlow:
		err, isFinal = cause, isFinal || cause == ErrSlow
	}
	err = fmt.Errorf("GET %s: %w", redact.URL(x.URL), err)
	if isFinal {
		return Finally(err)
	}
	return err
}
