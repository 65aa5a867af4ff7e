package updater

import (
	"context"
	"errors"
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

// ErrPending is an update of somebody else's that is not final yet: nothing was begun.
var ErrPending = errors.New("another update is neither final nor taken back")

// An Image is the firmware to be written.
type Image struct {
	Path    string
	Size    int64 // 0 is not known
	Version string
	Reset   bool     // the board's settings are not to be kept
	Keep    []string // files of the agent's that must be there after the flash
	Over    bool     // an update that is not final gives way: it is this step's own, or the step is forced
}

// A Backend is one way to write firmware. Every func blocks until it is done, and
// may be called again after a cut, Install also after half of it was done. A nil
// Test, Pending or Confirm has nothing to do.
type Backend struct {
	Name   string
	Slots  bool   // a second system is left to go back to
	Kills  bool   // Install ends in a reboot, or in an error
	Once   bool   // Confirm must be told when it is called again
	Why    string // why there is no way back, when Slots is false
	KeepIn string // the file that lists what a flash must keep, if the board has one

	State func(ctx context.Context) (System, error)
	// Pending says what is not final yet: the running system is on trial, or
	// somebody else's update is under way. Empty is nothing that the board shows.
	Pending func(ctx context.Context) (string, error)
	Test    func(ctx context.Context, i Image) error // whether the board would take it
	Install func(ctx context.Context, i Image, progress func(float64)) error
	// Stream is Install of what r brings; the image has no Path. It activates nothing
	// before the end of r. Nil: the board's tool needs a file.
	Stream func(ctx context.Context, i Image, r *os.File) error
	// Confirm makes the running system final, and fails where the board then shows
	// that it is not. again: it was called before, and may have been done then.
	Confirm func(ctx context.Context, again bool) error
	// Next is the slot that boots from now on, by the name that State gives it; empty
	// where the board does not say.
	Next func(ctx context.Context) (string, error)
	// Environment is that of the boot loader, read whole; nil where there is none.
	Environment func(ctx context.Context) (Environment, error)
	// Rollback makes the system of that slot the one that boots from now on,
	// be it the running one or the other.
	Rollback func(ctx context.Context, slot string) error
}
