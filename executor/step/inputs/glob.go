package inputs

import (
	"errors"
	"os"
	"path/filepath"
	"slices"
	"strings"
	"syscall"

	"github.com/ratchetd/ratchet/executor/step/safefile"
	"github.com/ratchetd/ratchet/telemetry/look"
)

const maxLooked = 20_000 // names in directories that one pattern may cost

// glob finds the paths that match a pattern without ever holding more than it
// was asked for: a pattern can match a million files, and a directory can hold
// as many that do not.
type glob struct {
	most   int
	looked int
	found  []string
	hangs  error // a file system on the way that does not answer
}

// Match lists at most so many paths that match an absolute pattern, and
// reports whether these are all. The error is that of a file system that does not answer.
func Match(pattern string, most int) (found []string, all bool, err error) {
	g := glob{most: most}
	all = g.walk("/", strings.Split(strings.Trim(pattern, "/"), "/"))
	slices.Sort(g.found)
	return g.found, all, g.hangs
}

// enter reports whether what dir leads to may be looked at.
func (g *glob) enter(dir string) bool {
	if _, err := safefile.Resolve(dir); errors.Is(err, look.ErrHangs) {
		g.hangs = err
	}
	return g.hangs == nil
}

// walk goes down the parts of the pattern below dir; false ends the search.
func (g *glob) walk(dir string, parts []string) bool {
	if len(parts) == 0 {
		if len(g.found) == g.most {
			return false
		}
		g.found = append(g.found, dir)
		return true
	}
	if !strings.ContainsAny(parts[0], `*?[\`) {
		path := filepath.Join(dir, parts[0])
		if !g.enter(path) {
			return false
		}
		if _, err := os.Lstat(path); err != nil {
			return true
		}
		return g.walk(path, parts[1:])
	}
	return g.list(dir, parts)
}

// list reads a directory piece by piece.
func (g *glob) list(dir string, parts []string) bool {
	if !g.enter(dir) {
		return false
	}
	d, err := os.OpenFile(dir, os.O_RDONLY|syscall.O_DIRECTORY, 0) // a pipe must not be waited for
	if err != nil {
		return true
	}
	defer d.Close()
	for {
		names, err := d.Readdirnames(256)
		for _, name := range names {
			if g.looked++; g.looked > maxLooked {
				return false
			}
			if ok, _ := filepath.Match(parts[0], name); ok && !g.walk(filepath.Join(dir, name), parts[1:]) {
				return false
			}
		}
		if err != nil {
			return true
		}
	}
}
