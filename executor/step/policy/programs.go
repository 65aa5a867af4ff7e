package policy

import (
	"fmt"
	"io/fs"
	"os"
	"path/filepath"
	"slices"
	"strings"
)

// noProgram refuses to write what policy.commands lets a job run: it would bring a
// program of its own.
func (p Policy) noProgram(m meaning) error {
	if len(p.Commands) == 0 {
		return nil
	}
	mounts, places := allMounts(), programs(p.Commands)
	for real := range m.each {
		if slices.ContainsFunc(places, func(at place) bool { return at.holds(mounts, real) }) {
			return fmt.Errorf("%s: policy.commands lets it be run, so no job may write it", m.path)
		}
	}
	return nil
}

// A place is where a program lies, or may come to lie, or a link on the way to it.
type place struct {
	dir  string   // without links
	rest []string // patterns of the names that follow; none: dir is the file itself
}

// holds reports whether a path without links is the place, by whatever mount.
func (at place) holds(mounts mounted, real string) bool {
	var names []string
	for range at.rest {
		names = append([]string{filepath.Base(real)}, names...)
		real = filepath.Dir(real)
	}
	for i, name := range names {
		if !covers(at.rest[i], name) {
			return false
		}
	}
	return real == at.dir || anyOf(mounts.names(real), mounts.names(at.dir))
}

// programs are the places that patterns of programs stand for, and the links that
// lead there: a pattern names a program as it is called, which may lie elsewhere.
func programs(patterns []string) (all []place) {
	for _, pattern := range patterns {
		w := way{links: maxLinks}
		w.walk("/", namesIn(pattern, true))
		all = append(all, w.places...)
	}
	return all
}

// maxLinks is how many a path may have, as in the kernel.
const maxLinks = 40

// A way follows a pattern from the root, whoever made the links.
type way struct {
	links  int // that may still be followed
	places []place
}

// A part is a name in a pattern; one that was found on the disk stands for itself.
type part struct {
	name    string
	pattern bool
}

func namesIn(path string, pattern bool) (parts []part) {
	for name := range strings.SplitSeq(path, "/") {
		if name != "" && name != "." {
			parts = append(parts, part{name, pattern && strings.ContainsAny(name, `*?[\`)})
		}
	}
	return parts
}

// walk goes on from dir, which is without links.
func (w *way) walk(dir string, parts []part) {
	if len(parts) == 0 {
		w.places = append(w.places, place{dir: dir})
		return
	}
	first, rest := parts[0], parts[1:]
	if first.pattern {
		w.list(dir, parts)
		return
	}
	path := filepath.Join(dir, first.name) // .. goes up: dir is without links
	to, err := os.Readlink(path)
	if err != nil || w.links == 0 {
		w.walk(path, rest)
		return
	}
	w.places = append(w.places, place{dir: path}) // who exchanges the link exchanges the program
	if filepath.IsAbs(to) {
		dir = "/"
	}
	w.links--
	w.walk(dir, append(namesIn(to, false), rest...))
	w.links++
}

// list goes on through all that the first part matches, now or later.
func (w *way) list(dir string, parts []part) {
	later := place{dir: dir}
	for _, p := range parts {
		later.rest = append(later.rest, p.name)
	}
	w.places = append(w.places, later)
	entries, _ := os.ReadDir(dir) // none: what is made there later is in the list
	for _, e := range entries {
		link, enters := e.Type()&fs.ModeSymlink != 0, e.IsDir() && len(parts) > 1
		if (link || enters) && covers(parts[0].name, e.Name()) {
			w.walk(dir, append([]part{{name: e.Name()}}, parts[1:]...))
		}
	}
}
