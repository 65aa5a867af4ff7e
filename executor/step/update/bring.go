package update

import (
	"bytes"
	"context"
	"errors"
	"fmt"
	"io"
	"os"
	"path/filepath"
	"strings"
	"syscall"
	"time"

	"golang.org/x/sys/unix"

	"github.com/ratchetd/ratchet/executor/step/fetch"
	"github.com/ratchetd/ratchet/executor/step/process"
	"github.com/ratchetd/ratchet/executor/step/safefile"
	"github.com/ratchetd/ratchet/updater"
)

// bring puts the new binary beside the old one and makes sure of it.
func (u *updating) bring(ctx context.Context) error {
	if err := u.replaceable(); err != nil {
		return err
	}
	ctx, cancel := u.t.Limit(ctx, fetch.Timeout)
	defer cancel()
	signature, err := fetch.Signature(ctx, u.with.Signature, u.Policy, u.Client)
	if err != nil {
		return err
	}
	if u.state.Fetch, err = u.fetch().Run(ctx); err != nil {
		return err
	}
	if err := u.vouch(updater.Candidate{Part: u.part(), SHA256: u.with.SHA256, Signature: signature, Keys: u.Keys}); err != nil {
		return fmt.Errorf("the new binary: %w", err)
	}
	was, err := safefile.Stat(u.path)
	if err != nil {
		return err
	}
	if err := u.Files.SetAttrs(u.staged(), was.Attrs); err != nil {
		return err
	}
	if err := u.Files.SyncExisting(u.staged()); err != nil {
		return err
	}
	return u.try(ctx, u.staged())
}

// replaceable says why no other file can take the binary's place, or nil.
func (u *updating) replaceable() error {
	dir := filepath.Dir(u.path)
	if err := unix.Access(dir, unix.W_OK); err != nil {
		return fmt.Errorf("%s, where the agent's binary lies, cannot be written: %w: update the image of this device instead", dir, err)
	}
	var st unix.Statx_t
	err := unix.Statx(unix.AT_FDCWD, u.path, unix.AT_SYMLINK_NOFOLLOW, 0, &st)
	if err == nil && st.Attributes&unix.STATX_ATTR_MOUNT_ROOT != 0 { // kernels before 5.8 do not tell
		return fmt.Errorf("%s is a mount of its own, so nothing can take its place: update what is mounted there instead", u.path)
	}
	return nil
}

func (u *updating) fetch() fetch.Download {
	return fetch.Download{
		URL: u.with.URL.S, Policy: u.Policy, SHA256: u.with.SHA256, Part: u.part(), Every: u.Every, Boot: u.t.Boot,
		Client: u.Client, Files: u.Files, From: u.state.Fetch,
		Save: func(c fetch.Checkpoint) error {
			u.state.Fetch = c
			return u.save()
		},
		Progress: u.t.Progress, Stopping: u.t.Stopping, Note: u.t.Output,
	}
}

// vouch checks what was fetched against its digest and signature: with
// selfupdate where there is room for what that holds in memory, and for the
// copy that it writes; else as it lies.
func (u *updating) vouch(c updater.Candidate) error {
	info, err := os.Stat(c.Part)
	if err != nil {
		return err
	}
	size := uint64(info.Size())
	free, err := u.Memory()
	if need := updater.Need(size); err != nil || free < need || u.Policy.Room(filepath.Dir(u.path), int64(size)) != nil {
		u.state.Verified = fmt.Sprintf("as it lies: selfupdate wants %d MB of memory (%d are free) and room for a second copy", need>>20, free>>20)
		return errors.Join(c.Verify(), u.tidy(updater.Staged(u.path)))
	}
	staged := updater.Staged(u.path)
	if err := u.Files.Remove(staged); err != nil {
		return err
	}
	u.state.Verified = "by selfupdate"
	return u.Files.Do("open", func() error {
		return u.Files.Do("write", func() error { return c.Stage(u.path) }, staged)
	}, staged)
}

// staged is the binary that was vouched for and is to take the old one's place.
func (u *updating) staged() string {
	if staged := updater.Staged(u.path); safefile.Exists(staged) {
		return staged
	}
	return u.part()
}

const tryTimeout = time.Minute

// try lets the new binary say its version and judge the configuration. It is
// for this processor, or it would not be started.
func (u *updating) try(ctx context.Context, path string) error {
	if err := updater.SameMachine(path); err != nil {
		return fmt.Errorf("the new binary: %w", err)
	}
	ctx, cancel := context.WithTimeoutCause(ctx, tryTimeout, fmt.Errorf("no answer within %s", tryTimeout))
	defer cancel()
	var said bytes.Buffer
	if err := u.ask(ctx, &said, path, "version"); err != nil {
		return fmt.Errorf("the new binary does not tell its version: %w", err)
	}
	got := strings.TrimPrefix(strings.TrimSpace(said.String()), "ratchetd ")
	if got != u.with.Version {
		return fmt.Errorf("the new binary is version %.64q, want %s", got, u.with.Version)
	}
	if err := u.ask(ctx, io.Discard, path, "check", "--config", u.Config); err != nil {
		return fmt.Errorf("the new binary cannot run with the present configuration: %w", err)
	}
	return nil
}

// ask runs the new binary. It was written just now: a child that is being
// forked at this moment may hold it open for writing.
func (u *updating) ask(ctx context.Context, out io.Writer, argv ...string) (err error) {
	for range 20 {
		err = process.Tool{Argv: argv, Stdout: out}.Run(ctx, u.t, u.Groups)
		if !errors.Is(err, syscall.ETXTBSY) {
			break
		}
		time.Sleep(50 * time.Millisecond)
	}
	return err
}
