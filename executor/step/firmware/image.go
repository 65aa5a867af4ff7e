package firmware

import (
	"context"
	"crypto/sha256"
	"encoding/hex"
	"errors"
	"fmt"
	"io"
	"os"
	"path/filepath"

	"github.com/ratchetd/ratchet/executor/step/fetch"
	"github.com/ratchetd/ratchet/executor/step/safefile"
	"github.com/ratchetd/ratchet/updater"
)

// bring makes the verified image ready to be written.
func (s *flashing) bring(ctx context.Context) (updater.Image, error) {
	ctx, cancel := s.t.Limit(ctx, fetch.Timeout)
	defer cancel()
	image := updater.Image{Version: s.with.Version, Reset: s.with.KeepSettings != nil && !*s.with.KeepSettings}
	var err error
	if image.Path, err = s.fetch(ctx); err != nil {
		return image, err
	}
	info, err := os.Stat(image.Path)
	if err != nil {
		return image, err
	}
	image.Size = info.Size()
	return image, s.verify(ctx, image.Path)
}

// fetch returns where the image with the right sha256 lies.
func (s *flashing) fetch(ctx context.Context) (string, error) {
	if s.with.Image != "" {
		return s.given(ctx)
	}
	if err := s.place(); err != nil {
		return "", err
	}
	part := s.state.Part
	at, err := fetch.Download{
		URL: s.with.URL.S, Policy: s.Policy, SHA256: s.with.SHA256, Part: part, Boot: s.t.Boot,
		Client: s.Client, Files: s.Files, From: s.state.Fetch,
		Save: func(c fetch.Checkpoint) error {
			s.state.Fetch = c
			return s.save()
		},
		Progress: func(f float64) { s.t.Progress(f / 2) }, Stopping: s.t.Stopping, Note: s.t.Output,
	}.Run(ctx)
	s.state.Fetch = at
	return part, err
}

// place saves where the image will lie before anything is put there.
func (s *flashing) place() error {
	dir := s.images()
	if dir == "" {
		return errors.New("the task has no directory for the image")
	}
	if dir == s.t.Dir {
		if err := s.Files.MakeTaskDir(s.t.Dir); err != nil {
			return err
		}
	}
	dir, err := safefile.Resolve(dir)
	if err == nil {
		err = safefile.TrustedWay(dir) // else somebody could exchange the image once it is verified
	}
	if err != nil {
		return err
	}
	part := filepath.Join(dir, "ratchet-firmware-"+s.with.SHA256[:16])
	if s.state.Part == part {
		return nil
	}
	s.state.Part = part
	return s.save()
}

// given is the image that lies on the device, where it is the right one and
// nobody can exchange it between that it is verified and that it is written.
func (s *flashing) given(ctx context.Context) (string, error) {
	path, err := s.Policy.ToRead(s.with.Image)
	if err == nil {
		err = safefile.TrustedWay(path)
	}
	if err == nil {
		err = s.sum(ctx, path)
	}
	if err != nil {
		return "", fmt.Errorf("image: %w", err)
	}
	return path, nil
}

func (s *flashing) sum(ctx context.Context, path string) error {
	file, err := safefile.Open(path)
	if err != nil {
		return err
	}
	defer file.Close()
	info, err := file.Stat()
	if err == nil {
		err = s.Policy.Size(info.Size()) // before it is read: it may be sparse
	}
	if err != nil {
		return err
	}
	sum := sha256.New()
	if _, err := io.Copy(sum, safefile.Reader(ctx, file)); err != nil {
		return err
	}
	if got := hex.EncodeToString(sum.Sum(nil)); got != s.with.SHA256 {
		return fmt.Errorf("sha256 of %s is %s, want %s", s.with.Image, got, s.with.SHA256)
	}
	return nil
}

// verify checks the image against its signature.
func (s *flashing) verify(ctx context.Context, path string) error {
	if s.with.Signature == "" {
		return nil
	}
	signature, err := fetch.Signature(ctx, s.with.Signature, s.Policy, s.Client)
	if err == nil {
		_, err = updater.Verify(path, signature, s.Keys)
	}
	return err
}
