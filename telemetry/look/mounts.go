package look

import (
	"cmp"
	"os"
	"path/filepath"
	"slices"
	"strings"
	"sync"
	"time"
)

// A Mount is one line of the kernel's mount table.
type Mount struct {
	Device  string // major:minor
	Disk    string // of which Device is a part, or which it is; empty where that does not show
	Path    string
	FS      string   // the name of its file system
	Options []string // of the file system
}

// Mounts reads the table of this process below proc, which is /proc. A path that was
// mounted over counts with what is on top.
func Mounts(proc string) ([]Mount, error) {
	text, err := os.ReadFile(filepath.Join(proc, "self/mountinfo"))
	if err != nil {
		return nil, err
	}
	var all []Mount
	for row := range strings.Lines(string(text)) {
		m, ok := parseMount(row)
		if !ok {
			continue
		}
		m.Disk = diskOf(filepath.Join(proc, "../sys/dev/block", m.Device))
		all = slices.DeleteFunc(all, func(under Mount) bool { return under.Path == m.Path })
		all = append(all, m)
	}
	return all, nil
}

// parseMount reads "36 35 98:0 /root /path rw,noatime master:1 - ext4 /dev/sda1 rw,errors=continue".
func parseMount(row string) (Mount, bool) {
	left, right, _ := strings.Cut(row, " - ")
	l, r := strings.Fields(left), strings.Fields(right)
	if len(l) < 6 || len(r) < 3 {
		return Mount{}, false
	}
	return Mount{Device: l[2], Path: unescape(l[4]), FS: r[0], Options: strings.Split(r[2], ",")}, true
}

// diskOf follows the link that the kernel has for a block device: a partition's lies in its
// disk's directory.
func diskOf(link string) string {
	to, err := os.Readlink(link)
	if err != nil {
		return ""
	}
	if above := filepath.Dir(to); filepath.Base(above) != "block" {
		return filepath.Base(above)
	}
	return filepath.Base(to)
}

var unescape = strings.NewReplacer(`\040`, " ", `\011`, "\t", `\012`, "\n", `\134`, `\`).Replace

// calm are the file systems that do not hang: they are the kernel's own, in memory, on
// raw flash, or made of others, and a look at them goes no further.
var calm = []string{"proc", "sysfs", "devtmpfs", "devpts", "tmpfs", "ramfs", "rootfs", "mqueue", "hugetlbfs", "cgroup", "cgroup2", "securityfs", "debugfs", "tracefs",
	"bpf", "pstore", "configfs", "efivarfs", "selinuxfs", "overlay", "squashfs", "erofs", "jffs2", "ubifs", "yaffs", "yaffs2"}

// Calm reports whether a look at m cannot hang, as all hang without the disk of the root.
func (m Mount) Calm(all []Mount) bool {
	root := slices.IndexFunc(all, func(other Mount) bool { return other.Path == "/" })
	switch {
	case slices.Contains(calm, m.FS):
		return true
	case root < 0 || strings.HasPrefix(m.FS, "fuse") || strings.HasPrefix(m.Device, "0:"):
		return false
	}
	return m.Device == all[root].Device || m.Disk != "" && m.Disk == all[root].Disk
}

// others are the paths of the mounts that may hang, as they were a moment ago.
var others struct {
	sync.Mutex
	read  time.Time
	paths []string
}

const tableKept = time.Second // each operation on a file asks

func mayHang(path string) bool { return slices.Contains(mayHangAt(), path) }

// mountOf is the path of the mount that may hang and that path is on by its name; path
// itself where none is.
func mountOf(path string) string {
	on := ""
	for _, m := range mayHangAt() {
		if len(m) > len(on) && strings.HasPrefix(path+"/", m+"/") {
			on = m
		}
	}
	return cmp.Or(on, path)
}

func mayHangAt() []string {
	others.Lock()
	defer others.Unlock()
	if time.Since(others.read) > tableKept || others.read.IsZero() {
		all, _ := Mounts("/proc") // without /proc nobody can tell
		others.read, others.paths = time.Now(), nil
		for _, m := range all {
			if !m.Calm(all) {
				others.paths = append(others.paths, m.Path)
			}
		}
	}
	return others.paths
}
