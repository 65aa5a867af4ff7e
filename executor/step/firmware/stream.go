package firmware

import (
	"context"
	"errors"
	"fmt"
	"io"
	"net/http"
	"os"
	"syscall"
	"time"

	"github.com/ratchetd/ratchet/executor"
	"github.com/ratchetd/ratchet/executor/backoff"
	"github.com/ratchetd/ratchet/executor/fence"
	"github.com/ratchetd/ratchet/executor/redact"
	"github.com/ratchetd/ratchet/executor/step/fetch"
	"github.com/ratchetd/ratchet/executor/step/safefile"
	"github.com/ratchetd/ratchet/updater"
)

// mayStream reports whether what there was no room for can be written as it comes.
func (s *flashing) mayStream(err error) bool {
	return s.backend.Stream != nil && (errors.Is(err, safefile.ErrNoRoom) || errors.Is(err, syscall.ENOSPC))
}

// broken is a stream that ended early: another one may last.
type broken struct{ error }

func (b broken) Unwrap() error { return b.error }

// stream writes an image that there is no room for as it comes. A connection
// that breaks off begins the write again, as a power cut does.
func (s *flashing) stream(ctx context.Context, image updater.Image) error {
	ctx, cancel := s.uncancelled(ctx)
	defer cancel()
	fmt.Fprintf(s.t.Output, "writing %s with %s as it comes, for there is no room for it\n", s.with.Version, s.backend.Name)
	signature, err := fetch.Signature(ctx, s.with.Signature, s.Policy, s.Client)
	if err != nil {
		return err
	}
	vouch := updater.Candidate{SHA256: s.with.SHA256, Signature: signature, Keys: s.Keys}
	for try := 1; ; try++ {
		err := s.pour(ctx, image, vouch)
		if err == nil || !errors.As(err, new(broken)) || try > fetch.MaxRestarts {
			return streamed(err)
		}
		fmt.Fprintf(s.t.Output, "beginning again: %v\n", err)
		if err := executor.Sleep(ctx, s.t.Stopping, backoff.Jitter(time.Duration(try)*time.Second)); err != nil {
			return err
		}
	}
}

func streamed(err error) error {
	if err != nil {
		return fmt.Errorf("writing the image: %w", err)
	}
	return nil
}

// pour hands the image to the backend through a pipe of this process's own: a
// backend that is killed, or ends early, leaves nobody waiting in a read. The
// pipe is closed only behind an image that is what it should be. Behind any
// other the backend is killed first, so that it never sees an end.
func (s *flashing) pour(ctx context.Context, image updater.Image, vouch updater.Candidate) error {
	ctx, kill := context.WithCancelCause(ctx)
	defer kill(nil)
	body, err := s.source(ctx, &image, kill)
	if err != nil {
		return err
	}
	defer body.Close()
	r, w, err := os.Pipe()
	if err != nil {
		return err
	}
	defer w.Close()
	poured := make(chan error, 1)
	go func() {
		err := fence.Call(func() error { return vouch.Pour(w, body) })
		if err != nil && !errors.As(err, new(broken)) {
			err = fetch.AsPacked(err, body.Response)
		}
		if err != nil {
			kill(err)
		} else {
			err = w.Close()
		}
		poured <- err
	}()
	err = s.backend.Stream(ctx, image, r)
	_ = r.Close() // else what is poured would wait for somebody to read it
	kill(nil)
	if early := <-poured; err == nil && early != nil {
		err = fmt.Errorf("%s ended before the image did: %w", s.backend.Name, early)
	}
	return err
}

// source begins to fetch the image. kill is called when it brings nothing any more.
func (s *flashing) source(ctx context.Context, image *updater.Image, kill context.CancelCauseFunc) (*incoming, error) {
	client := fetch.WithRules(s.Client, nil, s.Policy)
	resp, err := fetch.Get(ctx, client, s.with.URL.S)
	if err != nil {
		if !fetch.IsFinal(err) {
			err = broken{err}
		}
		return nil, err
	}
	image.Size = max(resp.ContentLength, 0)
	body := &incoming{Response: resp, s: s, close: client.CloseIdleConnections, idle: func() { kill(broken{fetch.ErrIdle}) }, floor: fetch.Floor{Every: streamStall}}
	if err := s.Policy.Size(image.Size); err != nil {
		return nil, errors.Join(err, body.Close())
	}
	return body, nil
}

// incoming is an image on its way.
type incoming struct {
	*http.Response
	s     *flashing
	close func()
	idle  func()
	done  int64
	floor fetch.Floor
}

const streamStall = 5 * time.Minute

func (i *incoming) Read(p []byte) (int, error) {
	watch := time.AfterFunc(streamStall, i.idle) // only here: a slow writer is not a slow server
	n, err := i.Body.Read(p)
	watch.Stop()
	i.done += int64(n)
	if err := errors.Join(i.s.Policy.Size(i.done), i.floor.Came(n)); err != nil {
		return n, err
	}
	if i.ContentLength > 0 {
		i.s.t.Progress(float64(i.done) / float64(i.ContentLength))
	}
	if err != nil && err != io.EOF {
		err = broken{fmt.Errorf("GET %s: %w", redact.URL(i.s.with.URL.S), err)}
	}
	return n, err
}

// Close ends it, also in its middle.
func (i *incoming) Close() error {
	defer i.close()
	return i.Body.Close()
}
