package store

import (
	"os"
	"os/exec"
	"path/filepath"
	"testing"
)

func TestTheUpperDirectoryIsReadFromMountinfo(t *testing.T) {
	const openwrt = "25 1 0:20 / / rw,noatime - overlay overlayfs:/overlay rw,lowerdir=/,upperdir=/overlay/upper,workdir=/overlay/work"
	for _, c := range []struct{ line, device, want string }{
		{openwrt, "0:20", "/overlay/upper"},
		{openwrt, "0:21", ""},
		{"25 1 0:20 / / rw shared:1 master:2 - overlay none rw,upperdir=/u", "0:20", "/u"},
		{"25 1 0:20 / / rw - overlay none ro,lowerdir=/a:/b", "0:20", ""},
		{"25 1 0:20 / / rw - tmpfs tmpfs rw,upperdir=/u", "0:20", ""},
		{"25 1", "0:20", ""},
		{"", "", ""},
	} {
		if got, ok := overlayUpper(c.line, c.device); got != c.want || ok != (c.want != "") {
			t.Errorf("overlayUpper(%q, %q) = %q, %v, want %q", c.line, c.device, got, ok, c.want)
		}
	}
}

func TestTheGeometryOfADisk(t *testing.T) {
	for _, dir := range []string{t.TempDir(), "/dev/shm", "/nowhere"} {
		if got := geometryOf(dir); got != disk {
			t.Errorf("geometryOf(%s) = %+v, want %+v", dir, got, disk)
		}
	}
}

func TestTheJournalWorksOnAnOverlay(t *testing.T) {
	base := t.TempDir()
	for _, d := range []string{"lower", "upper", "work", "merged"} {
		if err := os.Mkdir(filepath.Join(base, d), 0o755); err != nil {
			t.Fatal(err)
		}
	}
	merged, upper := filepath.Join(base, "merged"), filepath.Join(base, "upper")
	// A file from below is copied up when it is opened: the map must be of the copy.
	if err := os.WriteFile(filepath.Join(base, "lower", fileName), populated(t), 0o600); err != nil {
		t.Fatal(err)
	}
	options := "lowerdir=" + base + "/lower,upperdir=" + upper + ",workdir=" + base + "/work"
	if out, err := exec.Command("mount", "-t", "overlay", "overlay", "-o", options, merged).CombinedOutput(); err != nil {
		t.Skipf("no overlay can be mounted here: %s", out)
	}
	t.Cleanup(func() { _ = exec.Command("umount", merged).Run() })
	if got := upperDir(merged); got != upper {
		t.Errorf("upperDir = %q, want %q", got, upper)
	}
	db := openAt(t, merged, Options{})
	accept(t, db, job(t, "j1", 1, ""))
	for range 2 {
		if got, want := ids(db.Unfinished()), "job-00 job-01 job-02 job-03 j1"; got != want {
			t.Errorf("got %q, want %q", got, want)
		}
		db = reopen(t, db)
	}
	db.Close()
}
