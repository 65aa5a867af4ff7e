package telemetry

import (
	"slices"
	"strings"

	"github.com/ratchetd/ratchet/telemetry/look"
)

// fillables are the mounts that can fill up, by their device, each with the shortest
// path first, so that a router's overlay is "/" and not "/overlay".
func fillables(mounts []look.Mount) map[string][]look.Mount {
	all := map[string][]look.Mount{}
	for _, m := range mounts {
		if fillable(m) {
			on := deviceBelow(m, mounts)
			all[on] = append(all[on], m)
		}
	}
	for _, same := range all {
		slices.SortStableFunc(same, func(a, b look.Mount) int { return len(a.Path) - len(b.Path) })
	}
	return all
}

// noBlockDevice are the file systems that live on flash or in pools, so that
// the kernel gives them a made-up device as it does for /proc.
var noBlockDevice = []string{"btrfs", "bcachefs", "jffs2", "overlay", "ubifs", "yaffs", "yaffs2", "zfs"}

// images are made full and stay so.
var images = []string{"cramfs", "erofs", "iso9660", "romfs", "squashfs", "udf"}

// fillable leaves out what has no room of its own: virtual file systems, disks
// of other machines (asking one whose machine is away can block for good), and
// what is read-only.
func fillable(m look.Mount) bool {
	if strings.HasPrefix(m.Device, "0:") && !slices.Contains(noBlockDevice, m.FS) {
		return false
	}
	return !slices.Contains(images, m.FS) && !slices.Contains(m.Options, "ro")
}

// deviceBelow is the device that takes what is written here: for an overlay
// the one that its upper directory lies on, where that can be seen.
func deviceBelow(m look.Mount, mounts []look.Mount) string {
	i := slices.IndexFunc(m.Options, func(o string) bool { return strings.HasPrefix(o, "upperdir=") })
	if m.FS != "overlay" || i < 0 {
		return m.Device
	}
	upper := strings.TrimPrefix(m.Options[i], "upperdir=") + "/"
	below := look.Mount{Device: m.Device}
	for _, other := range mounts {
		inside := strings.HasPrefix(upper, strings.TrimSuffix(other.Path, "/")+"/")
		if inside && other.Path != m.Path && len(other.Path) > len(below.Path) {
			below = other
		}
	}
	return below.Device
}
