package steptest

import (
	"context"
	"errors"
	"fmt"
	"io"
	"os"
	"os/exec"
	"path/filepath"
	"strings"
	"syscall"

	"github.com/ratchetd/ratchet/executor/step/firmware"
	"github.com/ratchetd/ratchet/executor/step/safefile"
	"github.com/ratchetd/ratchet/updater"
)

// NewBoard makes a board with two slots of which A runs 1.0.
func NewBoard(dir string) error {
	script := filepath.Join(material(), "firmware/board")
	b := Slots(dir)
	return errors.Join(os.Mkdir(filepath.Join(dir, "slots"), 0o755), os.Symlink(script, filepath.Join(dir, "board")),
		b.put("slots/A", "1.0"), b.put("slots/B", "empty"), b.put("running", "A"), b.put("next", "A"))
}

// Slots is what testdata/firmware/board is, without a process for each verb: a
// folder with the slots and which of them runs and boots next.
type Slots string

func (b Slots) path(name string) string { return filepath.Join(string(b), name) }

func (b Slots) put(name, value string) error {
	return os.WriteFile(b.path(name), []byte(value+"\n"), 0o644)
}

// Get is what a file of the board says: which slot runs, what a slot holds.
func (b Slots) Get(name string) string {
	text, _ := os.ReadFile(b.path(name)) // none: empty
	return strings.TrimSpace(string(text))
}

func (b Slots) other() string {
	return map[string]string{"A": "B", "B": "A"}[b.Get("running")]
}

// Script runs the real script.
func (b Slots) Script(verb string) error {
	return exec.Command(b.path("board"), verb).Run()
}

// Boot boots the slot that is next.
func (b Slots) Boot() error { return b.put("running", b.Get("next")) }

// Run is what the board's script does, for updater.Board.
func (b Slots) Run(_ context.Context, c updater.Call) (a updater.Answer, err error) {
	running := b.Get("running")
	switch verb := c.Argv[1]; verb {
	case "state":
		a.Out = fmt.Sprintf(`{"version":%q,"board":"stand-in","slot":%q,"slots":2,"stream":true,"next":%q}`, b.Get("slots/"+running), running, b.Get("next"))
	case "check":
		_, err = os.Stat(c.Argv[2])
	case "install":
		read := func() ([]byte, error) { return os.ReadFile(c.Argv[2]) }
		if c.Argv[2] == "-" {
			read = func() ([]byte, error) { return io.ReadAll(c.Stdin) }
		}
		text, readErr := read()
		_, version, _ := strings.Cut(string(text), "version ")
		version, _, _ = strings.Cut(version, "\n")
		err = errors.Join(readErr, b.put("next", running), b.put("slots/"+b.other(), version), b.put("next", b.other()))
	case "confirm":
		err = b.put("next", running)
	case "rollback":
		err = b.put("next", c.Argv[2])
		if c.Argv[2] == running {
			err = errors.Join(err, b.put("slots/"+b.other(), "empty"))
		}
	}
	return a, err
}

// Image is one that the board with two slots takes.
func Image(version string) []byte {
	return []byte("image for stand-in\nversion " + version + "\n" + strings.Repeat("x", 1000))
}

// OnBoard is the kind on the board in dir.
func OnBoard(dir string) firmware.Kind {
	return firmware.Kind{Board: updater.Board{Script: filepath.Join(dir, "board")}, Reboot: []string{"true"}, Dir: filepath.Dir(dir)}
}

// NoRoom is a disk with no room for an image.
func NoRoom(f safefile.Files) safefile.Files {
	return safefile.Files{Before: func(op string, paths ...string) error {
		if op == "write" && strings.Contains(paths[0], "ratchet-firmware-") {
			return syscall.ENOSPC
		}
		if f.Before == nil {
			return nil
		}
		return f.Before(op, paths...)
	}}
}
