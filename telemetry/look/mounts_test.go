package look_test

import (
	"errors"
	"os"
	"path/filepath"
	"strings"
	"testing"

	"github.com/ratchetd/ratchet/telemetry/look"
)

// A board with partitions on one card asks no child: without the card nothing goes on. One
// with another disk, or a program behind the file system, does.
func TestPartitionsOfTheRootsDiskAreCalm(t *testing.T) {
	dir := t.TempDir()
	err := errors.Join(os.MkdirAll(filepath.Join(dir, "proc/self"), 0o755), os.MkdirAll(filepath.Join(dir, "sys/dev/block"), 0o755))
	table := ""
	for _, m := range []struct{ device, path, fs, link string }{
		{"179:2", "/", "ext4", "../../devices/platform/soc/mmc_host/mmc0/mmc0:0001/block/mmcblk0/mmcblk0p2"},
		{"179:1", "/boot/firmware", "vfat", "../../devices/platform/soc/mmc_host/mmc0/mmc0:0001/block/mmcblk0/mmcblk0p1"},
		{"179:3", "/windows", "fuseblk", "../../devices/platform/soc/mmc_host/mmc0/mmc0:0001/block/mmcblk0/mmcblk0p3"},
		{"8:1", "/mnt/stick", "vfat", "../../devices/platform/soc/usb1/1-1/host0/target0:0:0/0:0:0:0/block/sda/sda1"},
		{"7:0", "/snap", "ext4", "../../devices/virtual/block/loop0"},
		{"7:1", "/snap2", "ext4", "../../devices/virtual/block/loop1"},
		{"259:9", "/gone", "ext4", ""},
	} {
		table += "36 35 " + m.device + " / " + m.path + " rw - " + m.fs + " /dev/x rw\n"
		if m.link != "" {
			err = errors.Join(err, os.Symlink(m.link, filepath.Join(dir, "sys/dev/block", m.device)))
		}
	}
	err = errors.Join(err, os.WriteFile(filepath.Join(dir, "proc/self/mountinfo"), []byte(table), 0o644))
	all, reading := look.Mounts(filepath.Join(dir, "proc"))
	if err := errors.Join(err, reading); err != nil {
		t.Fatal(err)
	}
	var got []string
	for _, m := range all {
		if m.Calm(all) {
			got = append(got, m.Path)
		}
	}
	if want := "/ /boot/firmware"; strings.Join(got, " ") != want {
		t.Errorf("got %q, want %q", got, want)
	}
}
