package updater

import (
	"os"
	"path/filepath"
	"slices"
	"strings"
)

// system is what the files of the running system say of it.
func (b *Board) system() System {
	var s System
	for _, from := range []struct {
		file string
		keys []string
	}{
		{"/etc/openwrt_release", []string{"DISTRIB_RELEASE", "DISTRIB_REVISION", "DISTRIB_DESCRIPTION"}},
		{"/etc/os-release", []string{"IMAGE_VERSION", "BUILD_ID", "VERSION_ID", "VERSION"}},
	} {
		values := b.variables(from.file)
		for _, key := range from.keys {
			s.Versions = names(s.Versions).add(values[key])
		}
	}
	s.Boards = names(s.Boards).add(b.text("/tmp/sysinfo/board_name"))
	for compatible := range strings.SplitSeq(b.text("/proc/device-tree/compatible"), "\x00") {
		s.Boards = names(s.Boards).add(compatible)
	}
	s.Boards = names(s.Boards).add(b.text("/sys/class/dmi/id/product_name"))
	s.Slot = b.rootDevice()
	return s
}

// names are different words, none empty.
type names []string

func (n names) add(name string) names {
	if name = strings.TrimSpace(name); name == "" || slices.Contains(n, name) {
		return n
	}
	return append(n, name)
}

// text is what a small file holds, or nothing.
func (b *Board) text(path string) string {
	data, err := os.ReadFile(filepath.Join(b.Root, path))
	if err != nil || len(data) > 64<<10 {
		return ""
	}
	return strings.Trim(string(data), "\x00\n\t ")
}

// variables reads a file of lines such as NAME="value".
func (b *Board) variables(path string) map[string]string {
	values := map[string]string{}
	for line := range strings.Lines(b.text(path)) {
		if name, value, ok := strings.Cut(strings.TrimSpace(line), "="); ok {
			values[name] = strings.Trim(value, `"'`)
		}
	}
	return values
}

// rootDevice is by what the root file system's device is known, which on a board with two
// slots tells in which of them it runs: the partition's own id, where the boot loader asks
// for that, for a card may be numbered otherwise at each boot; else all its names.
func (b *Board) rootDevice() string {
	known := b.rootNames()
	for _, name := range known {
		if strings.HasPrefix(name, "PARTUUID=") || strings.HasPrefix(name, "PARTLABEL=") {
			return name
		}
	}
	return strings.Join(known, " ")
}

// rootNames are what is mounted as the root file system, and what the boot loader has
// asked for.
func (b *Board) rootNames() names {
	var known names
	for line := range strings.Lines(b.text("/proc/self/mountinfo")) {
		f := strings.Fields(line)
		dash := slices.Index(f, "-")
		if len(f) < 5 || f[4] != "/" || dash < 0 || dash+2 >= len(f) {
			continue
		}
		if device := f[dash+2]; strings.HasPrefix(device, "/dev/") && device != "/dev/root" {
			known = names{}.add(device) // the last one hides those before
		}
	}
	for word := range strings.FieldsSeq(b.text("/proc/cmdline")) {
		if root, ok := strings.CutPrefix(word, "root="); ok {
			known = known.add(root)
		}
	}
	return known
}
