package telemetry

import (
	"os"
	"path/filepath"
	"slices"
	"sort"
	"strings"
)

// A mount is one line of the kernel's mount table.
type mount struct {
	device  string // major:minor
	path    string
	fs      string
	options []string // of the file system
}

// readMounts takes the agent's own table, for it is the agent that runs out of
// room there. A path that was mounted over counts with what is on top.
func readMounts(t tree) ([]mount, error) {
	text, err := os.ReadFile(filepath.Join(t.proc, "self/mountinfo"))
	if err != nil {
		return nil, err
	}
	var all []mount
	for row := range strings.Lines(string(text)) {
		m, ok := parseMount(row)
		if !ok {
			continue
		}
		all = slices.DeleteFunc(all, func(under mount) bool { return under.path == m.path })
		all = append(all, m)
	}
	return all, nil
}

// parseMount reads "36 35 98:0 /root /path rw,noatime master:1 - ext4 /dev/sda1 rw,errors=continue".
func parseMount(row string) (mount, bool) {
	left, right, _ := strings.Cut(row, " - ")
	l, r := strings.Fields(left), strings.Fields(right)
	if len(l) < 6 || len(r) < 3 {
		return mount{}, false
	}
	return mount{device: l[2], path: unescape(l[4]), fs: r[0], options: strings.Split(r[2], ",")}, true
}

var unescape = strings.NewReplacer(`\040`, " ", `\011`, "\t", `\012`, "\n", `\134`, `\`).Replace

// disks are the mounts that can fill up, one for each device: the one with the
// shortest path, so that a router's overlay is "/" and not "/overlay".
func disks(mounts []mount) []mount {
	best := map[string]mount{}
	for _, m := range mounts {
		if !m.fillable() {
			continue
		}
		on := m.deviceBelow(mounts)
		if old, ok := best[on]; !ok || len(m.path) < len(old.path) {
			best[on] = m
		}
	}
	var list []mount
	for _, m := range best {
		list = append(list, m)
	}
	sort.Slice(list, func(i, j int) bool { return list[i].path < list[j].path })
	return list
}

// noBlockDevice are the file systems that live on flash or in pools, so that
// the kernel gives them a made-up device as it does for /proc.
var noBlockDevice = []string{"btrfs", "bcachefs", "jffs2", "overlay", "ubifs", "yaffs", "yaffs2", "zfs"}

// images are made full and stay so.
var images = []string{"cramfs", "erofs", "iso9660", "romfs", "squashfs", "udf"}

// fillable leaves out what has no room of its own: virtual file systems, disks
// of other machines (asking one whose machine is away can block for good), and
// what is read-only. A bind mount over a single file is left out too.
func (m mount) fillable() bool {
	if strings.HasPrefix(m.device, "0:") && !slices.Contains(noBlockDevice, m.fs) {
		return false
	}
	if slices.Contains(images, m.fs) || slices.Contains(m.options, "ro") {
		return false
	}
	info, err := os.Stat(m.path)
	return err != nil || info.IsDir()
}

// deviceBelow is the device that takes what is written here: for an overlay
// the one that its upper directory lies on, where that can be seen.
func (m mount) deviceBelow(mounts []mount) string {
	i := slices.IndexFunc(m.options, func(o string) bool { return strings.HasPrefix(o, "upperdir=") })
	if m.fs != "overlay" || i < 0 {
		return m.device
	}
	upper := strings.TrimPrefix(m.options[i], "upperdir=") + "/"
	below := mount{device: m.device}
	for _, other := range mounts {
		inside := strings.HasPrefix(upper, strings.TrimSuffix(other.path, "/")+"/")
		if inside && other.path != m.path && len(other.path) > len(below.path) {
			below = other
		}
	}
	return below.device
}
