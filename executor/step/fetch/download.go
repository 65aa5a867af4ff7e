// Package fetch brings bytes from web servers, and keeps what sending them has in
// common with that: downloads that go on where a cut left them, clients that show
// no secret to another host, headers, signatures, pauses.
package fetch

import (
	"cmp"
	"context"
	"crypto/sha256"
	"errors"
	"fmt"
	"hash"
	"io"
	"net/http"
	"syscall"
	"time"

	"github.com/ratchetd/ratchet/executor"
	"github.com/ratchetd/ratchet/executor/backoff"
	"github.com/ratchetd/ratchet/executor/step/policy"
	"github.com/ratchetd/ratchet/executor/step/safefile"
)

// Download is a download into a part file that goes on where it was: after a
// closed connection, a restart of the agent, a power cut. The bytes are hashed
// as they come. It leaves a complete, verified and synced part, which the
// caller installs.
type Download struct {
	URL      string
	Policy   policy.Policy // of the owner: which hosts, and how much
	SHA256   string        // lower-case hex; empty: whatever comes
	Header   map[string]string
	Part     string        // where the bytes go
	Rate     int64         // bytes per second; 0 is without limit
	Stall    time.Duration // without a byte it fails after this; 0 is 5 minutes
	Every    int64         // bytes between two checkpoints, at least; 0 is 4 MiB
	Boot     string        // id of this boot
	Client   *http.Client  // nil is one of its own, with the proxy of the environment
	Files    safefile.Files
	From     Checkpoint             // what was saved last
	Save     func(Checkpoint) error // makes it durable
	Progress func(fraction float64)
	Stopping <-chan struct{} // when closed, the bytes are synced and saved, and it returns
	Note     io.Writer       // takes a line when it goes on or begins again
}

// Checkpoint is what a Download must know to go on.
type Checkpoint struct {
	Validator string `json:"validator,omitempty"` // ETag or Last-Modified of what lies in the part
	Size      int64  `json:"size,omitempty"`      // 0 when the server does not tell
	Synced    int64  `json:"synced,omitempty"`    // bytes that no power cut can take
	Boot      string `json:"boot,omitempty"`      // in this boot what lies behind them is good too
}

// Finally is err as one that trying again does not cure.
func Finally(err error) error { return final{err} }

// IsFinal reports whether trying again does not cure err.
func IsFinal(err error) bool { return errors.As(err, new(final)) }

type final struct{ error }

// Unwrap is for errors.Is and errors.As.
func (f final) Unwrap() error { return f.error }

// Timeout is how long a step may take that moves bytes over the network and says
// nothing itself, however well they flow: other jobs wait for it.
const Timeout = 24 * time.Hour

const (
	MaxRestarts = 3         // a server that cannot resume would wear out the flash
	MaxAsked    = time.Hour // of waiting that a server asks for
)

// transfer is a Download under way.
type transfer struct {
	Download
	at       Checkpoint
	part     *safefile.Writer
	sum      hash.Hash
	done     int64 // bytes that are in part and in sum
	due      int64 // when the next checkpoint is
	look     int   // bytes until the next look at the disk
	floor    Floor
	restarts int
	resumed  bool      // a part of it comes from an earlier answer
	encoding string    // of the last answer
	deadline time.Time // by then a byte must have come
	asked    time.Duration
	pacer    pacer
	refusals Refusals
}

// Run fetches until the part is complete. The Checkpoint it returns is to be
// saved before or with what is done next.
func (f Download) Run(ctx context.Context) (Checkpoint, error) {
	x := &transfer{Download: f, at: f.From, sum: sha256.New()}
	x.Stall = cmp.Or(x.Stall, 5*time.Minute)
	x.Client = WithRules(f.Client, f.Header, f.Policy)
	x.floor = Floor{Every: x.Stall, Rate: f.Rate}
	defer x.Client.CloseIdleConnections()
	ctx, cancel := executor.UntilStop(ctx, f.Stopping)
	defer cancel(nil)
	defer func() {
		if x.part != nil {
			_ = x.part.Close() // what must last was synced
		}
	}()
	err := x.open(ctx)
	if err == nil {
		err = x.bring(ctx)
	}
	if errors.As(err, new(mismatch)) && x.resumed {
		if err = x.again(); err == nil {
			err = x.bring(ctx)
		}
	}
	full := errors.Is(err, syscall.ENOSPC) || errors.Is(err, safefile.ErrNoRoom) && x.at.Size == 0 // one without an end
	if full || errors.As(err, new(mismatch)) {
		err = errors.Join(err, f.Files.RemoveDurably(f.Part))
	}
	return x.at, err
}

// bring brings what is missing and verifies the whole.
func (x *transfer) bring(ctx context.Context) error {
	if err := x.loop(ctx); err != nil {
		return err
	}
	return x.verify()
}

// loop asks for the rest until there is none.
func (x *transfer) loop(ctx context.Context) error {
	x.deadline = time.Now().Add(x.Stall)
	pause := backoff.Pause{First: time.Second, Most: time.Minute}
	for x.at.Size == 0 || x.done < x.at.Size {
		before := x.done
		err := x.refusals.Judge(x.once(ctx))
		if err == nil {
			break
		}
		if ctx.Err() != nil {
			return x.ended(context.Cause(ctx))
		}
		if IsFinal(err) {
			return err
		}
		if x.done > before {
			pause.Reset()
		}
		if err := x.pause(ctx, err, &pause); err != nil {
			return err
		}
	}
	return nil
}

// ended makes the most of the bytes that came when the agent is stopped: the
// next boot could not trust them.
func (x *transfer) ended(cause error) error {
	if cause == executor.ErrStopped && x.done > x.at.Synced {
		return errors.Join(cause, x.checkpoint())
	}
	return cause
}

// pause waits before the next request, unless the time without a byte is over.
func (x *transfer) pause(ctx context.Context, err error, pause *backoff.Pause) error {
	if errors.As(err, new(outdated)) {
		return nil
	}
	wait := x.refusals.Wait(backoff.Jitter(pause.Next()))
	if long := AskedWait(err); long > 0 {
		wait = long
		x.asked += wait
		x.deadline = x.deadline.Add(wait)
		x.floor.Pause(wait)
	}
	if x.asked > MaxAsked {
		return fmt.Errorf("%w; it asks to wait %s in all, more than an hour", err, x.asked)
	}
	left := time.Until(x.deadline)
	if left <= 0 {
		return fmt.Errorf("no byte for %s: %w", x.Stall, err)
	}
	if executor.Sleep(ctx, nil, min(wait, left)) != nil {
		return x.ended(context.Cause(ctx))
	}
	return nil
}
