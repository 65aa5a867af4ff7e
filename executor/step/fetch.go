package step

import (
	"cmp"
	"context"
	"crypto/sha256"
	"encoding/hex"
	"errors"
	"fmt"
	"hash"
	"io"
	"net/http"
	"os"
	"path/filepath"
	"syscall"
	"time"
)

// Fetch is a download into a part file that goes on where it was: after a
// closed connection, a restart of the agent, a power cut. The bytes are hashed
// as they come. It leaves a complete, verified and synced part, which the
// caller installs.
type Fetch struct {
	URL      string
	SHA256   string // lower-case hex
	Header   map[string]string
	Part     string        // where the bytes go
	Rate     int64         // bytes per second; 0 is without limit
	Stall    time.Duration // without a byte it fails after this; 0 is 5 minutes
	Every    int64         // bytes between two checkpoints, at least; 0 is 4 MiB
	Boot     string        // id of this boot
	Client   *http.Client  // nil is one of its own, with the proxy of the environment
	Files    Files
	From     Checkpoint             // what was saved last
	Save     func(Checkpoint) error // makes it durable
	Progress func(fraction float64)
	Stopping <-chan struct{} // when closed, the bytes are synced and saved, and it returns
	Note     io.Writer       // takes a line when it goes on or begins anew
}

// Checkpoint is what a Fetch must know to go on.
type Checkpoint struct {
	Validator string `json:"validator,omitempty"` // ETag or Last-Modified of what lies in the part
	Size      int64  `json:"size,omitempty"`      // 0 when the server does not tell
	Synced    int64  `json:"synced,omitempty"`    // bytes that no power cut can take
	Boot      string `json:"boot,omitempty"`      // in this boot what lies behind them is good too
}

// final is an error that trying again does not cure.
type final struct{ error }

func (f final) Unwrap() error { return f.error }

const (
	maxRestarts = 3         // a server that cannot resume would wear out the flash
	maxAsked    = time.Hour // of waiting that a server asks for
)

// transfer is a Fetch under way.
type transfer struct {
	Fetch
	at       Checkpoint
	part     growing
	sum      hash.Hash
	done     int64 // bytes that are in part and in sum
	due      int64 // when the next checkpoint is
	restarts int
	deadline time.Time // by then a byte must have come
	asked    time.Duration
	pacer    pacer
}

// Run fetches until the part is complete. The Checkpoint it returns is to be
// saved before or with what is done next.
func (f Fetch) Run(ctx context.Context) (Checkpoint, error) {
	x := &transfer{Fetch: f, at: f.From, sum: sha256.New()}
	x.Stall = cmp.Or(x.Stall, 5*time.Minute)
	x.Client = withRules(f.Client, f.Header)
	defer x.Client.CloseIdleConnections()
	ctx, cancel := untilStop(ctx, f.Stopping)
	defer cancel(nil)
	err := x.open(ctx)
	if x.part.file != nil {
		defer x.part.close() // what must last was synced
	}
	if err == nil {
		err = x.loop(ctx)
	}
	if err == nil {
		err = x.verify()
	}
	if errors.Is(err, syscall.ENOSPC) || errors.As(err, new(mismatch)) {
		err = errors.Join(err, f.Files.removeForGood(f.Part))
	}
	return x.at, err
}

// untilStop ends ctx when the agent is asked to stop.
func untilStop(ctx context.Context, stopping <-chan struct{}) (context.Context, context.CancelCauseFunc) {
	ctx, cancel := context.WithCancelCause(ctx)
	go func() {
		select {
		case <-stopping:
			cancel(errStopped)
		case <-ctx.Done():
		}
	}()
	return ctx, cancel
}

// open opens the part and hashes what of it can be trusted: what was synced,
// and in the same boot all of it, for the page cache outlives a killed agent.
func (x *transfer) open(ctx context.Context) error {
	if err := x.openPart(); err != nil {
		return err
	}
	info, err := x.part.file.Stat()
	if err != nil {
		return err
	}
	good := info.Size()
	if x.at.Boot != x.Boot {
		good = min(good, x.at.Synced)
	}
	if x.done, err = io.Copy(x.sum, io.LimitReader(untilDone{ctx, x.part.file}, good)); err != nil {
		return err
	}
	x.due = x.done + x.interval()
	if x.done > 0 {
		fmt.Fprintf(x.Note, "going on at byte %d\n", x.done)
	}
	if x.done < info.Size() {
		return x.part.truncate(x.done)
	}
	return nil
}

// openPart opens the part that the Checkpoint tells of, or else a new one.
func (x *transfer) openPart() (err error) {
	if x.at.Validator != "" {
		if x.part, err = x.Files.open(x.Part, 0); err == nil {
			return nil
		}
	}
	x.at = Checkpoint{}
	if x.part, err = x.Files.create(x.Part); err != nil {
		return err
	}
	return x.Files.syncDir(filepath.Dir(x.Part))
}

// interval bounds the checkpoints of a download to about 16, and spares the
// flash those of a small one.
func (x *transfer) interval() int64 {
	return max(cmp.Or(x.Every, 4<<20), max(x.at.Size, x.done)/16)
}

// loop asks for the rest until there is none.
func (x *transfer) loop(ctx context.Context) error {
	x.deadline = time.Now().Add(x.Stall)
	pause := time.Second
	for x.at.Size == 0 || x.done < x.at.Size {
		before := x.done
		err := x.once(ctx)
		if err == nil {
			break
		}
		if ctx.Err() != nil {
			return x.ended(context.Cause(ctx))
		}
		if errors.As(err, new(final)) {
			return err
		}
		if x.done > before {
			pause = time.Second
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
	if cause == errStopped && x.done > x.at.Synced {
		return errors.Join(cause, x.checkpoint())
	}
	return cause
}

// pause waits before the next request, unless the time without a byte is over.
func (x *transfer) pause(ctx context.Context, err error, pause *time.Duration) error {
	if errors.As(err, new(outdated)) {
		return nil
	}
	wait := jitter(*pause)
	*pause = min(*pause*2, time.Minute)
	var busy retryAfter
	if errors.As(err, &busy) && busy.wait > 0 {
		wait = busy.wait
		x.asked += wait
		x.deadline = x.deadline.Add(wait)
	}
	if x.asked > maxAsked {
		return fmt.Errorf("%w; it asks to wait %s in all, more than an hour", err, x.asked)
	}
	left := time.Until(x.deadline)
	if left <= 0 {
		return fmt.Errorf("no byte for %s: %w", x.Stall, err)
	}
	if sleep(ctx, nil, min(wait, left)) != nil {
		return x.ended(context.Cause(ctx))
	}
	return nil
}

// copy takes the body of an answer that goes on where the part ends.
func (x *transfer) copy(ctx context.Context, body io.Reader) error {
	buf := make([]byte, x.chunk())
	for {
		n, err := fill(body, buf)
		if n > 0 {
			if err := x.take(buf[:n]); err != nil {
				return final{err}
			}
		}
		if err == io.EOF {
			if x.at.Size > 0 && x.done < x.at.Size {
				return io.ErrUnexpectedEOF
			}
			return nil
		}
		if err != nil {
			return err
		}
		if err := x.pacer.wait(ctx, n, x.Rate); err != nil {
			return err
		}
	}
}

// chunk is how much is written at once: few writes, and with a rate limit no
// pause above a second.
func (x *transfer) chunk() int64 {
	if x.Rate > 0 {
		return min(64<<10, x.Rate)
	}
	return 64 << 10
}

// fill reads until buf is full. Other than io.ReadFull it returns the reader's
// own error.
func fill(r io.Reader, buf []byte) (n int, err error) {
	for n < len(buf) && err == nil {
		var m int
		m, err = r.Read(buf[n:])
		n += m
	}
	return n, err
}

func (x *transfer) take(p []byte) error {
	if _, err := x.part.Write(p); err != nil {
		return fmt.Errorf("writing %s: %w", x.Part, err)
	}
	x.sum.Write(p)
	x.done += int64(len(p))
	if x.at.Size > 0 {
		x.Progress(float64(x.done) / float64(x.at.Size))
	}
	if x.done >= x.due {
		return x.checkpoint()
	}
	return nil
}

// checkpoint syncs what is there, and then saves that it is.
func (x *transfer) checkpoint() error {
	if err := x.part.sync(); err != nil {
		return err
	}
	x.at.Synced, x.at.Boot = x.done, x.Boot
	x.due = x.done + x.interval()
	return x.Save(x.at)
}

type mismatch struct{ error }

func (x *transfer) verify() error {
	if got := hex.EncodeToString(x.sum.Sum(nil)); got != x.SHA256 {
		return mismatch{fmt.Errorf("%s: sha256 is %s, want %s", masked(x.URL), got, x.SHA256)}
	}
	if err := x.part.sync(); err != nil {
		return err
	}
	x.at.Synced, x.at.Boot = x.done, x.Boot
	return nil
}

// room checks that the rest fits on the disk before its first byte is written.
func (x *transfer) room() error {
	var disk syscall.Statfs_t
	if err := syscall.Statfs(filepath.Dir(x.Part), &disk); err != nil {
		return &os.PathError{Op: "statfs", Path: filepath.Dir(x.Part), Err: err}
	}
	block := uint64(disk.Bsize)
	free, total := uint64(disk.Bavail)*block, uint64(disk.Blocks)*block
	keep := min(1<<20, total/50)
	if need := uint64(x.at.Size - x.done); x.at.Size > 0 && need+keep > free {
		return fmt.Errorf("no room: %d bytes are to come and %d shall stay free, but %s has %d: make room there and submit again",
			need, keep, filepath.Dir(x.Part), free)
	}
	return nil
}
