// Package inputs finds the files that a job's patterns name, as far as the policy
// lets it read them and without ever holding more than it was asked for.
package inputs

import (
	"errors"
	"fmt"
	"io"
	"io/fs"
	"os"
	"path/filepath"
	"slices"
	"strings"
	"unicode/utf8"

	"golang.org/x/sys/unix"

	"github.com/ratchetd/ratchet/executor/step/policy"
	"github.com/ratchetd/ratchet/executor/step/safefile"
)

// MaxGlobs is how many patterns one list may have.
const MaxGlobs = 64

// maxChosen is how many files one step may read.
const maxChosen = 10_000

// File is a file that a step's patterns name.
type File struct {
	Path string `json:"path"` // as the pattern names it
	Real string `json:"real"` // its links followed
	Size int64  `json:"size"`
}

// CheckPatterns says why a list of paths and globs cannot name files, or nil.
func CheckPatterns(patterns []string) error {
	if len(patterns) == 0 || len(patterns) > MaxGlobs {
		return fmt.Errorf("%d patterns: want 1 to %d", len(patterns), MaxGlobs)
	}
	for i, pattern := range patterns {
		if _, err := filepath.Match(pattern, ""); err != nil || safefile.CheckPath(pattern) != nil {
			return fmt.Errorf("[%d]: %q: want an absolute path, with *, ? and [a-z] for many", i, pattern)
		}
	}
	return nil
}

// IsGlob reports whether a pattern may match several files.
func IsGlob(pattern string) bool { return strings.ContainsAny(pattern, `*?[\`) }

// Choose lists the files that patterns name, each once, in the order of the
// patterns. A job gets all that it names or an error: half of a backup, or of a
// sum, is worse than none.
func Choose(p policy.Policy, patterns []string, note io.Writer) ([]File, error) {
	var files []File
	seen := map[string]bool{}
	for _, pattern := range patterns {
		paths, err := expand(pattern, note)
		if err != nil {
			return nil, err
		}
		for _, path := range paths {
			if seen[path] {
				continue
			}
			seen[path] = true
			file, err := chooseOne(p, path)
			if err != nil {
				return nil, err
			}
			files = append(files, file)
		}
	}
	switch {
	case len(files) == 0:
		return nil, fmt.Errorf("%s: matches no file", strings.Join(patterns, ", "))
	case len(files) > maxChosen:
		return nil, tooMany(strings.Join(patterns, ", "))
	}
	return files, nil
}

func tooMany(pattern string) error {
	return fmt.Errorf("%s: matches too much: at most %d files, and %d names to look at, are taken: narrow the pattern", pattern, maxChosen, maxLooked)
}

// expand lists what one pattern matches. Only a glob may match nothing.
func expand(pattern string, note io.Writer) ([]string, error) {
	if !IsGlob(pattern) {
		return []string{pattern}, nil
	}
	paths, all, err := Match(pattern, maxChosen)
	if err != nil {
		return nil, fmt.Errorf("%s: %w", pattern, err)
	}
	if !all {
		return nil, tooMany(pattern)
	}
	paths = slices.DeleteFunc(paths, unfinished)
	if len(paths) == 0 {
		fmt.Fprintf(note, "%s: matches nothing\n", pattern)
	}
	return paths, nil
}

// unfinished reports whether path is what beside names: a file that a step,
// perhaps this one, was cut in the middle of.
func unfinished(path string) bool {
	name := filepath.Base(path)
	return name[0] == '.' && (strings.HasSuffix(name, ".ratchet-new") || strings.HasSuffix(name, ".ratchet-part"))
}

func chooseOne(p policy.Policy, path string) (File, error) {
	if !utf8.ValidString(path) {
		return File{}, fmt.Errorf("%q: its name is not valid UTF-8: rename it or leave it out", path)
	}
	real, err := p.ToRead(path)
	if err != nil {
		return File{}, err
	}
	st, _, err := safefile.Lstat(real)
	switch {
	case errors.Is(err, fs.ErrNotExist):
		return File{}, fmt.Errorf("%s does not exist", path)
	case err != nil:
		return File{}, err
	case st.Mode&unix.S_IFMT == unix.S_IFDIR:
		return File{}, fmt.Errorf("%s is a directory: name its files, such as %s", path, filepath.Join(path, "*"))
	case st.Mode&unix.S_IFMT != unix.S_IFREG: // to open a device can act
		return File{}, fmt.Errorf("%s is no regular file", path)
	}
	return File{Path: path, Real: real, Size: st.Size}, nil
}

// Open opens the file that was chosen.
func (c File) Open() (*os.File, error) { return safefile.Open(c.Real) }
