package updater

import (
	"context"
	"errors"
	"fmt"
	"io"
	"os"
	"path/filepath"
	"regexp"
	"slices"
	"strconv"
	"strings"
)

// A Board is where firmware is written.
type Board struct {
	Root   string // before the path of every file that is read; empty is the real board
	Script string // the owner's own backend; it is used when it exists

	// Run runs one of the board's programs in a process group of its own and blocks
	// until it or ctx ends. An error says that it did not run or was killed.
	Run func(ctx context.Context, c Call) (Answer, error)
}

// A Call is one run of a program.
type Call struct {
	Argv   []string
	Env    map[string]string
	Stdin  io.Reader         // nil is nothing
	Line   func(line string) // nil, or called with every line that it writes
	Detach bool              // it ends the agent: it must live on, and its end says nothing
}

// An Answer is how a program ended.
type Answer struct {
	Out, Said string // all of stdout, at most 256 KiB; the last line of stderr, or of stdout where that is empty
	Code      int
}

// A System is the firmware that runs.
type System struct {
	Versions []string `json:"versions,omitempty"` // all names of its version, the best one first
	Boards   []string `json:"boards,omitempty"`   // and the board
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

// A candidate is one sort of backend, and whether this board has it.
type candidate struct {
	name  string
	needs string
	found bool
	make  func(ctx context.Context) (*Backend, error)
}

func (b *Board) candidates() []candidate {
	return []candidate{
		{"script", "an executable " + b.Script, script{b}.found(), script{b}.backend},
		{"rauc", "rauc and its system.conf", rauc{b}.found(), rauc{b}.backend},
		{"swupdate", "swupdate-client and the running service of SWUpdate", swupdate{b}.found(), swupdate{b}.backend},
		{"mender", "mender-update or mender, and a device_type", mender{b}.found(), mender{b}.backend},
		{"sysupgrade", "OpenWrt's sysupgrade", sysupgrade{b}.found(), sysupgrade{b}.backend},
	}
}

// Backends are the names of all that there are.
func Backends() (names []string) {
	for _, c := range (&Board{}).candidates() {
		names = append(names, c.name)
	}
	return names
}

// Found is the name of the backend that this board uses by itself, or empty.
func (b *Board) Found() string {
	for _, c := range b.candidates() {
		if c.found {
			return c.name
		}
	}
	return ""
}

// Backend is the backend of that name; an empty name means the one that Found names.
func (b *Board) Backend(ctx context.Context, name string) (*Backend, error) {
	var needs []string
	for _, c := range b.candidates() {
		switch {
		case c.found && (name == "" || name == c.name):
			return c.make(ctx)
		case name == c.name:
			return nil, fmt.Errorf("backend: this board has no %s: it needs %s", name, c.needs)
		}
		needs = append(needs, c.name+" ("+c.needs+")")
	}
	if name != "" {
		return nil, fmt.Errorf("backend: %q: want one of %s", name, strings.Join(Backends(), ", "))
	}
	return nil, fmt.Errorf("this board has nothing to write firmware with: want one of %s", strings.Join(needs, ", "))
}

// Searched are the directories in which programs are looked for.
var Searched = []string{"/usr/local/sbin", "/usr/local/bin", "/usr/sbin", "/usr/bin", "/sbin", "/bin"}

// program is the path of the board's program of that name, or empty.
func (b *Board) program(name string) string {
	for _, dir := range Searched {
		if path := filepath.Join(b.Root, dir, name); executable(path) {
			return path
		}
	}
	return ""
}

func executable(path string) bool {
	info, err := os.Stat(path)
	return err == nil && info.Mode().IsRegular() && info.Mode()&0o111 != 0
}

func (b *Board) has(path string) bool {
	_, err := os.Stat(filepath.Join(b.Root, path))
	return err == nil
}

// do runs a program. A status other than 0 is an error.
func (b *Board) do(ctx context.Context, c Call) (string, error) {
	if b.Run == nil {
		return "", errors.New("this board can run nothing")
	}
	a, err := b.Run(ctx, c)
	if err == nil && a.Code != 0 {
		err = fmt.Errorf("exit status %d", a.Code)
	}
	if err == nil {
		return a.Out, nil
	}
	if a.Said != "" {
		err = fmt.Errorf("%w: %s", err, a.Said)
	}
	return a.Out, fmt.Errorf("%s: %w", filepath.Base(c.Argv[0]), err)
}

var percents = regexp.MustCompile(`\b(\d{1,3})%`)

// percent calls progress where a line that a program wrote says how far it is.
func percent(line string, progress func(float64)) {
	if m := percents.FindStringSubmatch(line); m != nil && progress != nil {
		n, _ := strconv.Atoi(m[1]) // it is digits
		progress(min(float64(n)/100, 1))
	}
}

func (b *Board) ask(ctx context.Context, argv ...string) (string, error) {
	return b.do(ctx, Call{Argv: argv})
}
