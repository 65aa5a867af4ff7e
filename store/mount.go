package store

import (
	"bufio"
	"fmt"
	"os"
	"strings"

	"golang.org/x/sys/unix"
)

// geometry is all that depends on the file system the journal lies on, and
// nothing outside this file asks which one that is.
type geometry struct {
	pageSize int   // of a file that is made; an old one keeps its own
	maxSize  int64 // a power of two
}

// Most file systems write blocks of 4 KiB, so smaller pages cost: on ext4 a step
// boundary is 10.7 KB at the device with pages of 4 KiB and 14.8 KB with 1 KiB,
// on UBIFS a commit takes 8 or 22 ms. It is not left to the machine either: on a
// kernel with pages of 16 KiB a commit would be four times as big.
var disk = geometry{pageSize: 4 << 10, maxSize: 8 << 20}

// JFFS2 is the overlay of routers with NOR flash of 8 to 32 MB. It writes what
// it is given, so a commit follows the size of a page: with 1 KiB a step boundary
// is 4.5 KB, as counted on an ext4 with blocks of 1 KiB.
var norFlash = geometry{pageSize: 1 << 10, maxSize: 1 << 20}

// geometryOf chooses for the directory. Where the kernel does not tell, it is
// taken for a disk: every choice works on every file system.
func geometryOf(dir string) geometry {
	var fs unix.Statfs_t
	if unix.Statfs(dir, &fs) != nil {
		return disk
	}
	switch uint32(fs.Type) { // its size and sign differ between machines
	case unix.JFFS2_SUPER_MAGIC:
		return norFlash
	case unix.OVERLAYFS_SUPER_MAGIC:
		if unix.Statfs(upperDir(dir), &fs) == nil && uint32(fs.Type) == unix.JFFS2_SUPER_MAGIC {
			return norFlash
		}
	}
	return disk
}

// upperDir finds where an overlay stores what is written to dir. In a container
// the path means nothing, and asking for it fails.
func upperDir(dir string) string {
	var st unix.Stat_t
	mounts, err := os.Open("/proc/self/mountinfo")
	if err != nil || unix.Stat(dir, &st) != nil {
		return ""
	}
	defer mounts.Close()
	device := fmt.Sprintf("%d:%d", unix.Major(uint64(st.Dev)), unix.Minor(uint64(st.Dev)))
	for lines := bufio.NewScanner(mounts); lines.Scan(); {
		if upper, ok := overlayUpper(lines.Text(), device); ok {
			return upper
		}
	}
	return ""
}

// overlayUpper reads a line of mountinfo(5), such as
// "21 1 0:16 / / rw shared:1 - overlay overlayfs:/overlay rw,upperdir=/overlay/upper".
func overlayUpper(line, device string) (string, bool) {
	mount, super, _ := strings.Cut(line, " - ")
	m, s := strings.Fields(mount), strings.Fields(super)
	if len(m) < 3 || m[2] != device || len(s) < 3 || s[0] != "overlay" {
		return "", false
	}
	for option := range strings.SplitSeq(s[2], ",") {
		if upper, ok := strings.CutPrefix(option, "upperdir="); ok {
			return upper, true
		}
	}
	return "", false
}

// powerOfTwo rounds a bound up to what bbolt would map for it: map and bound
// must agree, see openMapped.
func powerOfTwo(n int64) int64 {
	size := int64(64 << 10)
	for size < n {
		size *= 2
	}
	return size
}
