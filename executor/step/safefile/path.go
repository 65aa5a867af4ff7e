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
