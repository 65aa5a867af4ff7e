package step_test

import (
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"os"
	"os/exec"
	"path/filepath"
	"strings"
	"syscall"
	"testing"

	"github.com/ratchetd/ratchet/executor"
	"github.com/ratchetd/ratchet/executor/step"
	"github.com/ratchetd/ratchet/executor/step/safefile"
	"github.com/ratchetd/ratchet/executor/step/steptest"
	"github.com/ratchetd/ratchet/updater"
)

// lateFirmware is the kind on a board that lies in the folder of the case.
type lateFirmware struct{ kind func() step.Firmware }

func (l lateFirmware) Check(with json.RawMessage) error { return l.kind().Check(with) }
func (l lateFirmware) Run(ctx context.Context, t *executor.Task) error {
	return l.kind().Run(ctx, t)
}
func (l lateFirmware) Undo(ctx context.Context, t *executor.Task) error {
	return l.kind().Undo(ctx, t)
}
func (l lateFirmware) Confirm(ctx context.Context, t *executor.Task) error {
	return l.kind().Confirm(ctx, t)
}

// newBoard makes a board with two slots of which A runs 1.0.
func newBoard(dir string) error {
	script, err := filepath.Abs("testdata/firmware/board")
	if err != nil {
		return err
	}
	b := slots(dir)
	return errors.Join(os.Mkdir(filepath.Join(dir, "slots"), 0o755), os.Symlink(script, filepath.Join(dir, "board")),
		b.put("slots/A", "1.0"), b.put("slots/B", "empty"), b.put("running", "A"), b.put("next", "A"))
}

// slots is what testdata/firmware/board is, without a process for each verb: a
// folder with the slots and which of them runs and boots next.
type slots string

func (b slots) path(name string) string { return filepath.Join(string(b), name) }

func (b slots) put(name, value string) error {
	return os.WriteFile(b.path(name), []byte(value+"\n"), 0o644)
}

func (b slots) get(name string) string {
	text, _ := os.ReadFile(b.path(name)) // none: empty
	return strings.TrimSpace(string(text))
}

func (b slots) other() string {
	return map[string]string{"A": "B", "B": "A"}[b.get("running")]
}

// script runs the real script.
func (b slots) script(verb string) error {
	return exec.Command(b.path("board"), verb).Run()
}

func (b slots) boot() error { return b.put("running", b.get("next")) }

func (b slots) run(_ context.Context, c updater.Call) (a updater.Answer, err error) {
	running := b.get("running")
	switch verb := c.Argv[1]; verb {
	case "state":
		a.Out = fmt.Sprintf(`{"version":%q,"board":"stand-in","slot":%q,"slots":2,"stream":true}`, b.get("slots/"+running), running)
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

// image is one that the board with two slots takes.
func image(version string) []byte {
	return []byte("image for stand-in\nversion " + version + "\n" + strings.Repeat("x", 1000))
}

// onBoard is the kind on the board in dir.
func onBoard(dir string) step.Firmware {
	return step.Firmware{Board: updater.Board{Script: filepath.Join(dir, "board")}, Reboot: []string{"true"}, Dir: filepath.Dir(dir)}
}

// firmwareCase is the kind on the board with two slots.
func firmwareCase(name, format string, more ...any) steptest.Case {
	var dir string
	return steptest.Case{
		Name: name, Boot: func(dir string) error { return slots(dir).boot() },
		Kind: func(f safefile.Files) executor.Kind {
			return lateFirmware{func() step.Firmware {
				k := onBoard(dir)
				if strings.HasSuffix(name, "no room") {
					f = noRoom(f)
				}
				k.Files, k.Board.Run = f, slots(dir).run
				return k
			}}
		},
		Setup: func(dir string) error {
			return errors.Join(newBoard(dir), os.WriteFile(filepath.Join(dir, "image"), image("2.0"), 0o644))
		},
		With: func(d string) string {
			dir = d
			return strings.ReplaceAll(fmt.Sprintf(format, more...), "DIR", d)
		},
	}
}

// firmwareCases are what the suite cuts of the kind firmware. How an image is
// fetched is download's case, and TestE2EEveryCutOfAFetchedFirmware's.
func firmwareCases() []steptest.Case {
	sum := digest(image("2.0"))
	return []steptest.Case{
		firmwareCase("firmware", `{"image":"DIR/image","sha256":%q,"version":"2.0","board":"stand-in"}`, sum),
		firmwareCase("firmware, runs already", `{"image":"DIR/image","sha256":%q,"version":"1.0"}`, sum),
	}
}

// noRoom is a disk with no room for an image.
func noRoom(f safefile.Files) safefile.Files {
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

func TestE2EEveryCutOfAFetchedFirmware(t *testing.T) {
	if os.Getenv("RATCHET_E2E") == "" {
		t.Skip("set RATCHET_E2E=1: it takes half a minute")
	}
	url, sum := serveBytes(t, image("2.0"))
	for _, row := range steptest.Run(t, firmwareCase("firmware", `{"url":%q,"sha256":%q,"version":"2.0","board":"stand-in"}`, url, sum)) {
		t.Log(row)
	}
	for _, row := range steptest.Run(t, firmwareCase("firmware, no room", `{"url":%q,"sha256":%q,"version":"2.0","board":"stand-in"}`, url, sum)) {
		t.Log(row)
	}
}
