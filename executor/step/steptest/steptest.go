// Package steptest is the suite that every kind of step passes. It runs a kind
// uncut and notes where it ends; then it cuts it at every file operation and at
// every Save, as a kill of the agent and as a power cut that takes what was not
// synced, and asserts that running it again ends in the same place and that
// Undo ends where it began. It fails every operation once, too: full disk,
// read-only disk, journal that cannot save.
//
// It judges what is left on the disk, not what a kind says or how long it takes.
package steptest

import (
	"errors"
	"fmt"
	"os"
	"path/filepath"
	"slices"
	"syscall"
	"testing"

	"github.com/ratchetd/ratchet/executor"
	"github.com/ratchetd/ratchet/executor/step/safefile"
)

// Case is a kind with parameters.
type Case struct {
	Name  string                             // of the kind and the use of it, for the matrix
	Kind  func(safefile.Files) executor.Kind // the kind, which does its file operations with these Files
	With  func(dir string) string            // parameters in JSON, for a step whose files lie in dir
	Setup func(dir string) error             // what lies in dir before; nil is nothing
	Boot  func(dir string) error             // what a boot changes by itself in dir; nil is nothing
}

// Run checks the case against every promise and returns its rows of the matrix:
// what a cut at each point comes to.
func Run(t *testing.T, c Case) []string {
	t.Helper()
	s := &suite{Case: c, root: t.TempDir()}
	rows, err := s.run()
	t.Logf("one in %d of the cut points was cut", thin)
	if err != nil {
		t.Fatalf("%s: %v", c.Name, err)
	}
	return rows
}

type suite struct {
	Case
	root   string
	made   int
	before tree
	after  tree
	points []string // of an uncut run
}

// ways in which a device can be cut.
var ways = []way{kill, powerKeepsNames, powerLosesNames}

func (s *suite) run() ([]string, error) {
	if err := s.reference(); err != nil {
		return nil, fmt.Errorf("uncut: %w", err)
	}
	var rows []string
	for i, at := range telling(s.points) {
		rows = append(rows, s.row(s.points[at-1]))
		if i%thin != 0 && at != len(s.points) {
			continue
		}
		for _, how := range ways {
			if err := s.cutAt(at, how); err != nil {
				return nil, fmt.Errorf("%s %s: %w", how, s.name(at), err)
			}
		}
		if err := s.failAt(at); err != nil {
			return nil, err
		}
	}
	rows = append(rows, s.row("the journal, after its work"))
	return slices.Compact(rows), s.cutUndo()
}

// reference runs the kind uncut, twice: the second time it was cut after its
// work and before that was journaled.
func (s *suite) reference() error {
	d, err := s.device()
	if err != nil {
		return err
	}
	if s.before, err = look(d.dir); err != nil {
		return err
	}
	if err := d.run(never); err != nil {
		return err
	}
	s.points = d.points
	if s.after, err = look(d.dir); err != nil {
		return err
	}
	if err := s.ends(d, s.after); err != nil {
		return err
	}
	return s.goesOn(d)
}

// goesOn runs a step that was cut, and asserts where it ends.
func (s *suite) goesOn(d *device) error {
	err := d.run(never)
	if err == nil {
		err = s.ends(d, s.after)
	}
	if err != nil {
		return fmt.Errorf("run again: %w", err)
	}
	return nil
}

// cutAt cuts at one point and asserts both ways out of it; going on is cut
// once more, by a power cut, at each end and in the middle.
func (s *suite) cutAt(at int, how way) error {
	for _, again := range []int{0, 1, len(s.points) / 2, len(s.points)} {
		d, err := s.device()
		if err != nil {
			return err
		}
		_ = d.run(plan{at: at, how: how})
		if again > 0 {
			_ = d.run(plan{at: again, how: powerLosesNames})
		}
		if err := s.goesOn(d); err != nil {
			return err
		}
	}
	d, err := s.device()
	if err != nil {
		return err
	}
	_ = d.run(plan{at: at, how: how})
	return s.undone(d)
}

// failAt lets one operation fail. What then came of the step may be an error
// or not; an error leaves both ways open.
func (s *suite) failAt(at int) error {
	for _, fault := range []error{syscall.ENOSPC, syscall.EROFS} {
		for _, undo := range []bool{false, true} {
			d, err := s.device()
			if err != nil {
				return err
			}
			failed := d.run(plan{at: at, fault: fault})
			switch {
			case failed != nil && undo:
				err = s.undone(d)
			case failed != nil:
				err = s.goesOn(d)
			default:
				err = s.ends(d, s.after)
			}
			if err != nil {
				return fmt.Errorf("%v %s (it said: %v): %w", fault, s.name(at), failed, err)
			}
		}
	}
	return nil
}

// cutUndo undoes a step that was done, and cuts and fails that everywhere.
func (s *suite) cutUndo() error {
	d, err := s.device()
	if err != nil || !d.undoable() {
		return err
	}
	if err := d.run(never); err != nil {
		return err
	}
	if err := s.undone(d); err != nil {
		return fmt.Errorf("undo: %w", err)
	}
	for at := 0; at < len(d.points); at += thin {
		for _, how := range ways {
			err := s.undoWith(plan{at: at + 1, how: how})
			if err != nil {
				return fmt.Errorf("undo, %s at %s: %w", how, d.points[at], err)
			}
		}
		if err := s.undoWith(plan{at: at + 1, fault: syscall.ENOSPC}); err != nil {
			return fmt.Errorf("undo, no space at %s: %w", d.points[at], err)
		}
	}
	return nil
}

func (s *suite) undoWith(p plan) error {
	d, err := s.device()
	if err != nil {
		return err
	}
	if err := d.run(never); err != nil {
		return err
	}
	_ = d.undo(p)
	return s.undone(d)
}

// undone asserts that Undo, and a second Undo, end where the step began.
func (s *suite) undone(d *device) error {
	if !d.undoable() {
		return nil
	}
	for _, time := range []string{"first", "second"} {
		if err := d.undo(never); err != nil {
			return fmt.Errorf("%s undo: %w", time, err)
		}
		if err := s.ends(d, s.before); err != nil {
			return fmt.Errorf("%s undo: %w", time, err)
		}
	}
	return nil
}

// ends asserts where the device ended, and that a power cut does not change it.
func (s *suite) ends(d *device, want tree) error {
	if err := d.dirEquals(want); err != nil {
		return err
	}
	if err := d.cut(powerLosesNames); err != nil {
		return err
	}
	if err := d.dirEquals(want); err != nil {
		return fmt.Errorf("reported before it was durable: after a power cut %w", err)
	}
	return nil
}

func (s *suite) name(at int) string { return "at " + s.points[at-1] }

// row is what the matrix says of a cut at a point, once it is proven.
func (s *suite) row(point string) string {
	point = "before " + point
	if point == "before saved" {
		point = "after save"
	}
	undo := "no undo"
	if _, ok := s.Kind(safefile.Files{}).(executor.Undoer); ok {
		undo = "undo: as before"
	}
	return fmt.Sprintf("%-26s | %-57s | run again: same end | %s", s.Name, point, undo)
}

// telling leaves out what stands between the second and the last of a series
// of the same point, and numbers points from 1.
func telling(points []string) []int {
	var at []int
	for i, p := range points {
		inside := i >= 2 && i+1 < len(points) && points[i-1] == p && points[i-2] == p && points[i+1] == p
		if !inside {
			at = append(at, i+1)
		}
	}
	return at
}

func (s *suite) device() (*device, error) {
	s.made++
	home := filepath.Join(s.root, fmt.Sprint(s.made))
	if s.made > 1 {
		_ = os.RemoveAll(filepath.Join(s.root, fmt.Sprint(s.made-1)))
	}
	d := &device{dir: filepath.Join(home, "files"), state: filepath.Join(home, "state", "step"), boot: 1, boots: s.Boot}
	d.kind = s.Kind(safefile.Files{Before: d.before})
	d.with = s.With(d.dir)
	if err := errors.Join(os.MkdirAll(d.dir, 0o755), os.Mkdir(filepath.Dir(d.state), 0o700)); err != nil {
		return nil, err
	}
	if err := d.kind.Check([]byte(d.with)); err != nil {
		return nil, fmt.Errorf("its own Check refuses the case: %w", err)
	}
	if s.Setup == nil {
		return d, nil
	}
	return d, s.Setup(d.dir)
}
