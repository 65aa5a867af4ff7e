package step

import (
	"archive/tar"
	"bytes"
	"errors"
	"io"
	"os"
	"os/exec"
	"path/filepath"
	"strings"
	"testing"
	"time"
)

var (
	tarChanged = time.Unix(1_795_000_000, 0)
	tarFiles   = []tarFile{
		{name: "etc/config/wireless", mode: 0o4755, uid: 1000, gid: 2_000_000_000, user: "alice", group: "staff", changed: tarChanged, size: 700},
		{name: "empty", mode: 0o600, changed: tarChanged},
		{name: strings.Repeat("ü", 50), mode: 0o600, changed: tarChanged, size: 512},
		{name: "a/" + strings.Repeat("x", 99), mode: 0o600, changed: tarChanged, size: 1},
		{name: strings.Repeat("0123456789/", 100) + "ü", mode: 0o640, changed: tarChanged, size: 513},
		{name: "index.txt", mode: 0o600, changed: time.Unix(0, 0), size: 3},
	}
)

// packTar is the archive of tarFiles.
func packTar(t *testing.T) []byte {
	t.Helper()
	var b bytes.Buffer
	w := &tarball{w: &b}
	for i, f := range tarFiles {
		if f.changed.Unix() == 0 {
			f.changed = time.Time{} // a board without a clock, and what has no time
		}
		if err := w.begin(f); err != nil {
			t.Fatal(err)
		}
		if _, err := w.Write(bytes.Repeat([]byte{byte('a' + i)}, int(f.size))); err != nil {
			t.Fatal(err)
		}
	}
	if err := w.close(); err != nil {
		t.Fatal(err)
	}
	return b.Bytes()
}

func TestATarballIsReadAsItWasWritten(t *testing.T) {
	archive := packTar(t)
	r := tar.NewReader(bytes.NewReader(archive))
	for i, want := range tarFiles {
		h, err := r.Next()
		if err != nil {
			t.Fatal(err)
		}
		text, err := io.ReadAll(r)
		if err != nil || !bytes.Equal(text, bytes.Repeat([]byte{byte('a' + i)}, int(want.size))) {
			t.Errorf("%s: got %d bytes, %v, want its %d", want.name, len(text), err, want.size)
		}
		got := tarFile{h.Name, uint32(h.Mode), uint32(h.Uid), uint32(h.Gid), h.Uname, h.Gname, h.Size, h.ModTime}
		if !got.changed.Equal(want.changed) || h.Typeflag != tar.TypeReg {
			t.Errorf("%s: got %v, type %c, want %v and a file", want.name, got.changed, h.Typeflag, want.changed)
		}
		if got.changed = want.changed; got != want {
			t.Errorf("got %+v, want %+v", got, want)
		}
	}
	if _, err := r.Next(); err != io.EOF || len(archive)%tarBlock != 0 {
		t.Errorf("got %v after the last of %d bytes, want the end after whole blocks", err, len(archive))
	}
}

// TestTarAndBusyBoxUnpackATarball: what people have at hand. BusyBox knows GNU's
// long names, not PAX's.
func TestTarAndBusyBoxUnpackATarball(t *testing.T) {
	archive := packTar(t)
	for _, program := range [][]string{{"tar"}, {"busybox", "tar"}} {
		t.Run(program[0], func(t *testing.T) {
			if _, err := exec.LookPath(program[0]); err != nil {
				t.Skip(err)
			}
			dir := t.TempDir()
			cmd := exec.Command(program[0], append(program[1:], "-x", "-o", "-f", "-", "-C", dir)...)
			cmd.Stdin = bytes.NewReader(archive)
			if out, err := cmd.CombinedOutput(); err != nil {
				t.Fatalf("got %v: %s", err, out)
			}
			for i, f := range tarFiles {
				got, err := os.ReadFile(filepath.Join(dir, f.name))
				if want := bytes.Repeat([]byte{byte('a' + i)}, int(f.size)); err != nil || !bytes.Equal(got, want) {
					t.Errorf("%s: got %d bytes, %v, want %d", f.name, len(got), err, len(want))
				}
			}
		})
	}
}

func TestATarballHoldsWhatWasTold(t *testing.T) {
	w := &tarball{w: io.Discard}
	if err := w.begin(tarFile{name: "a", size: 9 << 30}); err != nil {
		t.Fatal(err)
	}
	if err := w.close(); !errors.Is(err, errTarShort) {
		t.Errorf("got %v for an end in the middle of a file, want %v", err, errTarShort)
	}
	w = &tarball{w: io.Discard}
	if err := w.begin(tarFile{name: "a", size: 1}); err != nil {
		t.Fatal(err)
	}
	if _, err := w.Write([]byte("ab")); !errors.Is(err, errTarLong) {
		t.Errorf("got %v for a byte too many, want %v", err, errTarLong)
	}
}

func TestATarballKnowsSizesOfMoreThanEightGiB(t *testing.T) {
	var b bytes.Buffer
	if err := (&tarball{w: &b}).begin(tarFile{name: "a", size: 9 << 30}); err != nil {
		t.Fatal(err)
	}
	if h, err := tar.NewReader(&b).Next(); err != nil || h.Size != 9<<30 {
		t.Errorf("got %+v, %v, want 9 GiB", h, err)
	}
}
