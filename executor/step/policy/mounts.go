package policy

import (
	"bufio"
	"io"
	"os"
	"path/filepath"
	"slices"
	"strings"
)

// A mount is a line of mountinfo: what of which file system is seen where.
type mount struct {
	point  string
	kind   string   // of the file system
	device string   // major:minor of the file system
	root   string   // the part of it that is seen at point
	layers []string // of an overlay: the directories that it is made of, the upper one first
}

// mounted are the mounts of this process, in the order in which they were made.
type mounted []mount

// allMounts are empty where /proc is not there: then names tell no more than
// paths do.
func allMounts() mounted {
	file, err := os.Open("/proc/self/mountinfo")
	if err != nil {
		return nil
	}
	defer file.Close()
	return readMounts(file)
}

func readMounts(r io.Reader) (list mounted) {
	for lines := bufio.NewScanner(r); lines.Scan(); {
		f := strings.Fields(lines.Text())
		if len(f) < 10 {
			continue
		}
		m := mount{device: f[2], root: unescaped(f[3]), point: unescaped(f[4])}
		if _, rest, ok := strings.Cut(lines.Text(), " - "); ok {
			m.kind, _, _ = strings.Cut(rest, " ")
		}
		if m.kind == "overlay" {
			m.layers = layersOf(f[len(f)-1])
		}
		list = append(list, m)
	}
	return list
}

// layersOf reads the options of an overlay.
func layersOf(options string) (dirs []string) {
	for option := range strings.SplitSeq(options, ",") {
		name, value, _ := strings.Cut(option, "=")
		switch name {
		case "upperdir":
			dirs = append([]string{unescaped(value)}, dirs...)
		case "lowerdir", "lowerdir+", "datadir+":
			for dir := range strings.SplitSeq(value, ":") {
				dirs = append(dirs, unescaped(dir))
			}
		}
	}
	return dirs
}

// unescape undoes what mountinfo does to blanks and the like.
var unescape = strings.NewReplacer(`\040`, " ", `\011`, "\t", `\012`, "\n", `\134`, `\`)

func unescaped(text string) string { return unescape.Replace(text) }

// names are what the path without links is called by its file systems: one and
// the same file has a name in common, by whatever mount it is reached.
func (list mounted) names(path string) []string { return list.namesBeyond(path, nil) }

// namesBeyond are names without those that lead back to a mount that was passed.
func (list mounted) namesBeyond(path string, passed []string) (names []string) {
	at, found := list.at(path)
	if !found || slices.Contains(passed, at.point) {
		return nil
	}
	rest, _ := filepath.Rel(at.point, path)
	names = append(names, at.device+":"+filepath.Join(at.root, rest))
	for _, layer := range at.layers {
		if filepath.IsAbs(layer) {
			names = append(names, list.namesBeyond(filepath.Join(layer, at.root, rest), append(passed, at.point))...)
		}
	}
	return names
}

// at is the mount that a path is on: the deepest, and of those at one point the
// last.
func (list mounted) at(path string) (best mount, found bool) {
	for _, m := range list {
		if below(path, m.point) && len(m.point) >= len(best.point) {
			best, found = m, true
		}
	}
	return best, found
}

// below reports whether path is tree or lies in it.
func below(path, tree string) bool {
	return path == tree || strings.HasPrefix(path, strings.TrimSuffix(tree, "/")+"/")
}

// anyBelow reports whether one of the names is one of the trees', or lies below it.
func anyBelow(names, trees []string) bool {
	for _, name := range names {
		for _, tree := range trees {
			if below(name, tree) {
				return true
			}
		}
	}
	return false
}

// anyOf reports whether the names have one in common.
func anyOf(names, others []string) bool {
	return slices.ContainsFunc(names, func(name string) bool { return slices.Contains(others, name) })
}
