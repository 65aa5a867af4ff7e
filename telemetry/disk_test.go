package telemetry

import (
	"context"
	"os"
	"path/filepath"
	"slices"
	"testing"

	"github.com/ratchetd/ratchet/telemetry/look"
)

func TestDisksAreThoseThatCanFillUpOncePerDevice(t *testing.T) {
	for dir, want := range map[string][]string{
		"testdata/router": {"/"},
		"testdata/pc":     {"/", "/boot/efi", "/data"},
	} {
		mounts, err := look.Mounts(treeOf(board(dir)).proc)
		if err != nil {
			t.Fatal(err)
		}
		var got []string
		for _, same := range fillables(mounts) {
			got = append(got, same[0].Path)
		}
		slices.Sort(got)
		if !slices.Equal(got, want) {
			t.Errorf("%s: got %q, want %q", dir, got, want)
		}
	}
}

func TestOverlayWhoseUpperSideIsHiddenCountsAsItself(t *testing.T) {
	root := look.Mount{Device: "0:9", Path: "/", FS: "overlay", Options: []string{"rw", "upperdir=/host/diff"}}
	data := look.Mount{Device: "8:1", Path: "/data", FS: "ext4", Options: []string{"rw"}}
	if got := deviceBelow(root, []look.Mount{root, data}); got != "0:9" {
		t.Errorf("got %s, want 0:9", got)
	}
}

func TestWhatIsMountedOverIsNotSeen(t *testing.T) {
	_, dir := copyOf(t, "testdata/pc")
	write(t, "1 1 8:1 / /mnt rw - ext4 /dev/sda1 rw\n2 1 8:2 / /mnt rw - ext4 /dev/sda2 rw\n", dir, "proc/self/mountinfo")
	mounts, err := look.Mounts(treeOf(board(dir)).proc)
	if err != nil || len(mounts) != 1 || mounts[0].Device != "8:2" {
		t.Errorf("got %v, %v; want the upper mount only", mounts, err)
	}
}

func TestRoomIsAskedOfTheFileSystemItself(t *testing.T) {
	ctx, dir := copyOf(t, "testdata/pc")
	gone := filepath.Join(dir, "gone")
	write(t, "1 1 8:1 / "+dir+" rw - ext4 /dev/sda1 rw\n2 1 8:2 / "+gone+" rw - ext4 /dev/sda2 rw\n", dir, "proc/self/mountinfo")
	got, err := new(room).sample(ctx, treeOf(ctx))
	if err != nil || len(got) != 1 {
		t.Fatalf("got %v, %v; want one disk, the one that answers", got, err)
	}
	if d := got[0]; d.Path != dir || d.Total == 0 || d.Free > d.Total || *d.Percent > 100 {
		t.Errorf("got %+v, want the figures of %s", d, dir)
	}
}

func TestSingleFilesAreNoDisks(t *testing.T) {
	file := filepath.Join(t.TempDir(), "hosts")
	if err := os.WriteFile(file, nil, 0o644); err != nil {
		t.Fatal(err)
	}
	mounts := []look.Mount{{Device: "8:1", Path: file, FS: "ext4"}}
	answers := new(room).ask(t.Context(), mounts)
	if d, err := diskOf(mounts, answers); d != nil || err != nil {
		t.Errorf("a bind mount over a file counts as a disk: %+v, %v", d, err)
	}
	dir := look.Mount{Device: "8:1", Path: filepath.Dir(file), FS: "ext4"}
	mounts = append(mounts, dir)
	if d, err := diskOf(mounts, new(room).ask(t.Context(), mounts)); err != nil || d == nil || d.Path != dir.Path {
		t.Errorf("the folder beside it: got %+v, %v", d, err)
	}
}

func TestDiskThatNobodyCanAskIsAnError(t *testing.T) {
	ctx, dir := copyOf(t, "testdata/pc")
	write(t, "2 1 8:2 / /does/not/exist rw - ext4 /dev/sda2 rw\n", dir, "proc/self/mountinfo")
	if got, err := new(room).sample(context.Background(), treeOf(ctx)); err == nil {
		t.Errorf("got %v, want an error", got)
	}
}
