package safefile

import (
	"errors"
	"fmt"
	"path/filepath"
	"strings"
)

// CheckPath says why a parameter cannot name a file, or nil.
func CheckPath(path string) error {
	switch {
	case path == "":
		return errors.New("want an absolute path")
	case !filepath.IsAbs(path), filepath.Clean(path) != path, path == "/", strings.Contains(path, "\x00"):
		return fmt.Errorf("%q: want an absolute path of a file, without . or .. or a slash at its end", path)
	}
	return nil
}

// CheckAnyPath is CheckPath that takes the root as well.
func CheckAnyPath(s string) error {
	if !filepath.IsAbs(s) || filepath.Clean(s) != s {
		return fmt.Errorf("%q: want an absolute path, without . or .. or a slash at its end", s)
	}
	return nil
}

// CheckName says why s cannot become part of a path or of a command line, or nil.
func CheckName(s string) error {
	if s == "" || s[0] == '-' || s == "." || s == ".." || strings.ContainsAny(s, "/ ") {
		return fmt.Errorf("%q: want a plain name", s)
	}
	return nil
}
