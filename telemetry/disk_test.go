package telemetry

import (
	"context"
	"os"
	"path/filepath"
	"slices"
	"testing"
)

func TestDisksAreThoseThatCanFillUpOncePerDevice(t *testing.T) {
	for dir, want := range map[string][]string{
		"testdata/router": {"/"},
		"testdata/pc":     {"/", "/boot/efi", "/data"},
	} {
		mounts, err := readMounts(treeOf(board(dir)))
		if err != nil {
			t.Fatal(err)
		}
		var got []string
		for _, m := range disks(mounts) {
			got = append(got, m.path)
		}
		if !slices.Equal(got, want) {
			t.Errorf("%s: got %q, want %q", dir, got, want)
		}
	}
}

func TestOverlayWhoseUpperSideIsHiddenCountsAsItself(t *testing.T) {
	root := mount{device: "0:9", path: "/", fs: "overlay", options: []string{"rw", "upperdir=/host/diff"}}
	data := mount{device: "8:1", path: "/data", fs: "ext4", options: []string{"rw"}}
	if got := root.deviceBelow([]mount{root, data}); got != "0:9" {
		t.Errorf("got %s, want 0:9", got)
	}
}

func TestWhatIsMountedOverIsNotSeen(t *testing.T) {
	_, dir := copyOf(t, "testdata/pc")
	write(t, "1 1 8:1 / /mnt rw - ext4 /dev/sda1 rw\n2 1 8:2 / /mnt rw - ext4 /dev/sda2 rw\n", dir, "proc/self/mountinfo")
	mounts, err := readMounts(treeOf(board(dir)))
	if err != nil || len(mounts) != 1 || mounts[0].device != "8:2" {
		t.Errorf("got %v, %v; want the upper mount only", mounts, err)
	}
}

func TestRoomIsAskedOfTheFileSystemItself(t *testing.T) {
	ctx, dir := copyOf(t, "testdata/pc")
	gone := filepath.Join(dir, "gone")
	write(t, "1 1 8:1 / "+dir+" rw - ext4 /dev/sda1 rw\n2 1 8:2 / "+gone+" rw - ext4 /dev/sda2 rw\n", dir, "proc/self/mountinfo")
	got, err := sampleDisks(ctx, treeOf(ctx))
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
	if (mount{device: "8:1", path: file, fs: "ext4"}).fillable() {
		t.Error("a bind mount over a file counts as a disk")
	}
}

func TestDiskThatNobodyCanAskIsAnError(t *testing.T) {
	ctx, dir := copyOf(t, "testdata/pc")
	write(t, "2 1 8:2 / /does/not/exist rw - ext4 /dev/sda2 rw\n", dir, "proc/self/mountinfo")
	if got, err := sampleDisks(context.Background(), treeOf(ctx)); err == nil {
		t.Errorf("got %v, want an error", got)
	}
}
