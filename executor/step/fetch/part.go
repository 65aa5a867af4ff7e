package fetch

import (
	"cmp"
	"context"
	"encoding/hex"
	"fmt"
	"io"
	"path/filepath"

	"github.com/ratchetd/ratchet/executor/redact"
	"github.com/ratchetd/ratchet/executor/step/safefile"
)

// open opens the part and hashes what of it can be trusted: what was synced,
// and in the same boot all of it, for the page cache outlives a killed agent.
func (x *transfer) open(ctx context.Context) error {
	if x.at.Validator == "" {
		return nil
	}
	var err error
	if x.part, err = x.Files.Open(x.Part, 0); err != nil {
		return nil // it is begun again
	}
	good, err := x.part.Size()
	if err != nil {
		return err
	}
	if x.at.Boot != x.Boot {
		good = min(good, x.at.Synced)
	}
	if x.done, err = io.Copy(x.sum, io.LimitReader(safefile.Reader(ctx, x.part), good)); err != nil {
		return err
	}
	x.due = x.done + x.interval()
	if x.resumed = x.done > 0; x.resumed {
		fmt.Fprintf(x.Note, "going on at byte %d\n", x.done)
	}
	return x.part.Truncate(x.done)
}

// begin makes an empty part for what at tells of, which is saved before.
func (x *transfer) begin(at Checkpoint) error {
	x.at, x.due = at, x.interval()
	if err := x.room(); err != nil {
		return err
	}
	if err := x.Save(x.at); err != nil {
		return err
	}
	if x.part != nil {
		return nil // it is empty already
	}
	var err error
	if x.part, err = x.Files.Create(x.Part); err != nil {
		return err
	}
	return x.Files.SyncDir(filepath.Dir(x.Part))
}

// interval bounds the checkpoints of a download to about 16, and spares the
// flash those of a small one.
func (x *transfer) interval() int64 {
	return max(cmp.Or(x.Every, 4<<20), max(x.at.Size, x.done)/16)
}

// copy takes the body of an answer that goes on where the part ends.
func (x *transfer) copy(ctx context.Context, body io.Reader) error {
	buf := make([]byte, x.chunk())
	for {
		n, err := fill(body, buf)
		if n > 0 {
			if err := x.write(buf[:n]); err != nil {
				return Finally(err)
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

func (x *transfer) write(p []byte) error {
	if _, err := x.part.Write(p); err != nil {
		return fmt.Errorf("writing %s: %w", x.Part, err)
	}
	x.sum.Write(p)
	x.done += int64(len(p))
	if err := x.fits(len(p)); err != nil {
		return Finally(err)
	}
	if x.at.Size > 0 {
		x.Progress(float64(x.done) / float64(x.at.Size))
	}
	if x.done >= x.due {
		return x.checkpoint()
	}
	return nil
}

// fits looks after the policy and the disk while bytes come: a server need not
// say how much it sends.
func (x *transfer) fits(n int) error {
	if err := x.Policy.Size(x.done); err != nil {
		return err
	}
	const every = 256 << 10
	if x.look -= n; x.look > 0 {
		return nil
	}
	x.look = every
	return x.Policy.Room(filepath.Dir(x.Part), every)
}

// checkpoint syncs what is there, and then saves that it is.
func (x *transfer) checkpoint() error {
	if err := x.part.Sync(); err != nil {
		return err
	}
	x.at.Synced, x.at.Boot = x.done, x.Boot
	x.due = x.done + x.interval()
	return x.Save(x.at)
}

type mismatch struct{ error }

func (x *transfer) verify() error {
	if got := hex.EncodeToString(x.sum.Sum(nil)); got != x.SHA256 && x.SHA256 != "" {
		return mismatch{asPacked(fmt.Errorf("%s: sha256 is %s, want %s", redact.URL(x.URL), got, x.SHA256), x.encoding)}
	}
	if err := x.part.Sync(); err != nil {
		return err
	}
	x.at.Synced, x.at.Boot = x.done, x.Boot
	return nil
}

// again empties a part that was put together from several answers and is not what it
// should be: one answer may be.
func (x *transfer) again() error {
	fmt.Fprintln(x.Note, "beginning again: with what was there before it has another sha256")
	return x.empty()
}

// empty makes the part that of a file of which nothing has come.
func (x *transfer) empty() error {
	x.done, x.at, x.resumed = 0, Checkpoint{}, false
	x.sum.Reset()
	return x.part.Truncate(0)
}

// room checks that the rest fits on the disk before its first byte is written.
func (x *transfer) room() error {
	if err := x.Policy.Size(x.at.Size); err != nil {
		return err
	}
	return x.Policy.Room(filepath.Dir(x.Part), max(x.at.Size-x.done, 0))
}
