package policy

import (
	"path/filepath"

	"github.com/ratchetd/ratchet/executor/step/safefile"
)

// A meaning is what a path stands for, without links in any directory's name.
// What cannot be found out is empty.
type meaning struct {
	path   string
	itself string // the path's own end, which may be a link
	real   string // where it leads
}

func follow(path string) (m meaning, err error) {
	m.path = path
	dir, err := safefile.Resolve(filepath.Dir(path))
	if err != nil {
		return m, err
	}
	m.itself = filepath.Join(dir, filepath.Base(path))
	m.real, err = safefile.Resolve(m.itself)
	return m, err
}

// each calls do with what is known of it.
func (m meaning) each(do func(string) bool) {
	if m.itself != "" && do(m.itself) && m.real != "" && m.real != m.itself {
		do(m.real)
	}
}
