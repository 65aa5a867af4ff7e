package upload

import (
	"archive/tar"
	"bufio"
	"compress/gzip"
	"context"
	"errors"
	"fmt"
	"io"
	"path/filepath"
	"strings"

	"github.com/ratchetd/ratchet/executor/step/inputs"
	"github.com/ratchetd/ratchet/executor/step/policy"
	"github.com/ratchetd/ratchet/executor/step/safefile"
)

// pack writes a tar.gz of the files and returns its size. Their names lose the
// slash at the beginning and nothing else, so that they can be put back where
// they were; as absolute paths without .. they cannot leave the folder in which
// they are unpacked.
//
// The archive is a file, not made while it is sent: a presigned URL wants its
// length beforehand, and what changes meanwhile must not spoil a second try. It
// is never synced, for after a cut it is made again.
func (k Kind) pack(ctx context.Context, path string, files []inputs.File) (size int64, err error) {
	file, err := k.Files.Create(path)
	if err != nil {
		return 0, err
	}
	out := &policy.Writer{W: file, Dir: filepath.Dir(path), Policy: k.Policy}
	buffer := bufio.NewWriterSize(out, 64<<10)
	zip := gzip.NewWriter(buffer)
	archive := tar.NewWriter(zip)
	for i := 0; i < len(files) && err == nil; i++ {
		if err = k.Policy.Size(files[i].Size); err == nil {
			err = packFile(ctx, archive, files[i])
		}
		if err != nil {
			err = fmt.Errorf("packing %s: %w", files[i].Path, err)
		}
	}
	if err == nil {
		err = errors.Join(archive.Close(), zip.Close(), buffer.Flush())
	}
	return out.Done, errors.Join(err, file.Close())
}

func packFile(ctx context.Context, archive *tar.Writer, c inputs.File) error {
	file, err := c.Open()
	if err != nil {
		return err
	}
	defer file.Close()
	info, err := file.Stat()
	if err != nil {
		return err
	}
	header, err := tar.FileInfoHeader(info, "")
	if err != nil {
		return err
	}
	header.Name = strings.TrimPrefix(c.Path, "/")
	if err := archive.WriteHeader(header); err != nil {
		return err
	}
	// A log may grow meanwhile: what it had is what goes in.
	n, err := io.Copy(archive, io.LimitReader(safefile.Reader(ctx, file), header.Size))
	if err == nil && n < header.Size {
		err = errors.New("it became shorter meanwhile: let the step retry")
	}
	return err
}
