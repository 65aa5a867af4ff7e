package machine

import (
	"bytes"
	"os"
	"os/exec"
	"path/filepath"
	"strings"
	"testing"
)

func TestTheFirstRootIsOneThatCpioReads(t *testing.T) {
	if _, err := exec.LookPath("cpio"); err != nil {
		t.Skip("cpio is not installed")
	}
	first := Tree{}
	first.Text("init", "#!/bin/sh\n")
	first.Applets([]string{"proc"}, []string{"sh"})
	cmd := exec.Command("cpio", "-tv", "--quiet")
	cmd.Stdin = bytes.NewReader(first.CPIO())
	list, err := Output(cmd)
	if err != nil {
		t.Fatal(err)
	}
	var got []string
	for line := range strings.Lines(list) {
		f := strings.Fields(line)
		got = append(got, f[0]+" "+strings.Join(f[8:], " "))
	}
	want := "drwxr-xr-x bin, lrwxrwxrwx bin/sh -> busybox, -rwxr-xr-x init, drwxr-xr-x proc"
	if strings.Join(got, ", ") != want {
		t.Errorf("got %s, want %s", strings.Join(got, ", "), want)
	}
}

func TestAPartitionHoldsItsFile(t *testing.T) {
	dir := t.TempDir()
	one, two, disk := filepath.Join(dir, "one"), filepath.Join(dir, "two"), filepath.Join(dir, "disk")
	write(t, one, bytes.Repeat([]byte("1"), 1024))
	write(t, two, bytes.Repeat([]byte("2"), 2<<20))
	if err := Partitioned(disk, one, two); err != nil {
		t.Fatal(err)
	}
	got, err := os.ReadFile(disk)
	if err != nil {
		t.Fatal(err)
	}
	// The table tells the first sector and how many: 2048 and 2, 4096 and 4096.
	for at, want := range map[int]byte{446 + 9: 8, 446 + 12: 2, 462 + 9: 16, 462 + 13: 16, 1<<20 + 1023: '1', 2 << 20: '2', 4<<20 - 1: '2'} {
		if got[at] != want {
			t.Errorf("byte %d: got %d, want %d", at, got[at], want)
		}
	}
}

func write(t *testing.T, path string, text []byte) {
	t.Helper()
	if err := os.WriteFile(path, text, 0o644); err != nil {
		t.Fatal(err)
	}
}
