package telemetry

import (
	"cmp"
	"context"
	"errors"
	"fmt"
	"maps"
	"slices"
	"time"

	"github.com/ratchetd/ratchet/telemetry/look"
)

// Disk is one file system that can fill up.
type Disk struct {
	Path    string   `json:"path"`
	Total   uint64   `json:"total"`
	Free    uint64   `json:"free"` // for programs that are not root
	Percent *float64 `json:"percent"`
	Inodes  *float64 `json:"inodesPercent,omitempty"` // used; absent where there is no fixed number of them
}

// room remembers what disks said that are not the board's own: a child asks those.
type room struct {
	asked time.Time
	paths []string // that were asked, in order
	known map[string]look.Answer
}

// roomEvery is how often a child looks at other disks: it costs about as much as a sample.
const roomEvery = time.Minute

// sample asks every device once. One that cannot be asked is left out as long as
// another can; one that hangs is an error, beside the others.
func (r *room) sample(ctx context.Context, t tree) ([]Disk, error) {
	mounts, err := look.Mounts(t.proc)
	if err != nil {
		return nil, fmt.Errorf("reading mounts: %w", err)
	}
	answers := r.ask(ctx, mounts)
	var all []Disk
	var errs, hung []error
	for _, same := range fillables(mounts) {
		d, err := diskOf(same, answers)
		switch {
		case errors.Is(err, look.ErrHangs):
			hung = append(hung, err)
		case err != nil:
			errs = append(errs, err)
		case d != nil:
			all = append(all, *d)
		}
	}
	slices.SortFunc(all, func(a, b Disk) int { return cmp.Compare(a.Path, b.Path) })
	if len(all) == 0 {
		return nil, errors.Join(append(hung, errs...)...)
	}
	return all, errors.Join(hung...)
}

// ask has all mounts that can fill up looked at: the board's own here and now, the
// others by a child and not at each sample.
func (r *room) ask(ctx context.Context, mounts []look.Mount) map[string]look.Answer {
	answers := map[string]look.Answer{}
	var others []string
	for _, same := range fillables(mounts) {
		for _, m := range same {
			if m.Calm(mounts) {
				answers[m.Path] = look.Here(m.Path)
			} else {
				others = append(others, m.Path)
			}
		}
	}
	slices.Sort(others)
	if r.asked.IsZero() || time.Since(r.asked) >= roomEvery || !slices.Equal(others, r.paths) {
		r.asked, r.paths, r.known = time.Now(), others, map[string]look.Answer{}
		for i, a := range look.At(ctx, others...) {
			r.known[others[i]] = a
		}
	}
	maps.Copy(answers, r.known)
	return answers
}

// diskOf is the disk that these mounts are of. A bind mount over a single file is none, and
// so is a disk without room, or with one that cannot be.
func diskOf(mounts []look.Mount, answers map[string]look.Answer) (*Disk, error) {
	var worst error
	for _, m := range mounts {
		a := answers[m.Path]
		if err := a.Error(); err != nil {
			worst = fmt.Errorf("asking for the room of %w", err)
			continue
		}
		if !a.Dir {
			continue
		}
		return newDisk(m.Path, a), nil
	}
	return nil, worst
}

// newDisk counts as df does: what is reserved for root is no room. It is nil where
// there is none.
func newDisk(path string, a look.Answer) *Disk {
	part := func(bytes uint64) bool { return isPlausible("disk.free", float64(bytes)/float64(a.Total)) }
	if a.Used+a.Free == 0 || !part(a.Free) || !part(a.Used) {
		return nil
	}
	return &Disk{path, a.Total, a.Free, percent(float64(a.Used), float64(a.Used+a.Free)), inodes(a)}
}

func inodes(a look.Answer) *float64 {
	used := 100 * (1 - float64(a.InodesFree)/float64(a.Inodes))
	if a.Inodes == 0 || !isPlausible("disk.inodesPercent", used) {
		return nil
	}
	return percent(float64(a.Inodes-a.InodesFree), float64(a.Inodes))
}
