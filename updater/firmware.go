package updater

import (
	"context"
	"os"
	"slices"
)

// A System is the firmware that runs.
type System struct {
	Versions []string `json:"versions,omitempty"` // all names of its version, the best one first
	Boards   []string `json:"boards,omitempty"`   // the names of the board it is for
	Slot     string   `json:"slot,omitempty"`     // where it lies; empty where the board does not say
}

// Version is the best name of its version.
func (s System) Version() string {
	if len(s.Versions) == 0 {
		return "an unknown version"
	}
	return s.Versions[0]
}

// Is reports whether version is one of the firmware's names.
func (s System) Is(version string) bool { return slices.Contains(s.Versions, version) }

// An Image is the firmware to be written.
type Image struct {
	Path    string
	Size    int64 // 0 is not known
	Version string
	Reset   bool     // the board's settings are not to be kept
	Keep    []string // files of the agent's that must be there after the flash
}

// A Backend is one way to write firmware. Every func blocks until it is done, and
// may be called again after a cut, Install also after half of it was done. A nil
// Test or Confirm has nothing to do.
type Backend struct {
	Name   string
	Slots  bool   // a second system is left to go back to
	Kills  bool   // Install ends in a reboot, or in an error
	Why    string // why there is no way back, when Slots is false
	KeepIn string // the file that lists what a flash must keep, if the board has one

	State   func(ctx context.Context) (System, error)
	Test    func(ctx context.Context, i Image) error // whether the board would take it
	Install func(ctx context.Context, i Image, progress func(float64)) error
	// Stream is Install of what r brings; the image has no Path. It activates nothing
	// before the end of r. Nil: the board's tool needs a file.
	Stream  func(ctx context.Context, i Image, r *os.File) error
	Confirm func(ctx context.Context) error // the running system is final
	// Rollback makes the system of that slot the one that boots from now on,
	// be it the running one or the other.
	Rollback func(ctx context.Context, slot string) error
}
