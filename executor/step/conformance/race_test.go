package conformance_test

import (
	"encoding/json"
	"errors"
	"fmt"
	"os"
	"path/filepath"
	"syscall"
	"testing"

	"github.com/ratchetd/ratchet/executor"
	"github.com/ratchetd/ratchet/executor/step"
	"github.com/ratchetd/ratchet/executor/step/safefile"
)

// Whoever may write the directory of a file that a job changes can put a link
// in its place between any two operations.
func TestALinkThatTakesAFilesPlaceIsNotFollowed(t *testing.T) {
	for _, op := range []string{"write", "sync", "attrs", "rename"} {
		dir := t.TempDir()
		victim := filepath.Join(dir, "victim")
		if err := os.WriteFile(victim, []byte("kept"), 0o600); err != nil {
			t.Fatal(err)
		}
		swapped := false
		k := step.File{Files: safefile.Files{Before: func(what string, paths ...string) error {
			if what != op || swapped {
				return nil
			}
			swapped = true
			if err := os.Remove(paths[0]); err != nil {
				return err
			}
			return os.Symlink(victim, paths[0])
		}}}
		with := fmt.Sprintf(`{"path":%q,"content":"new","mode":"0666"}`, filepath.Join(dir, "conf"))
		task := executor.NewTask(executor.Task{With: json.RawMessage(with), Dir: filepath.Join(dir, "state"), Attempt: 1}, nil,
			func(json.RawMessage, bool) error { return nil }, nil)
		err := k.Run(t.Context(), task)
		info, statErr := os.Stat(victim)
		text, _ := os.ReadFile(victim)
		if statErr != nil || info.Mode().Perm() != 0o600 || string(text) != "kept" || !swapped {
			t.Errorf("at %s: the victim has %q and mode %v (%v, %v)", op, text, info.Mode(), statErr, err)
		}
	}
}

// Where the state lies on another disk the old content is copied: what is put
// back for the user of the directory must not be a file that he cannot read.
func TestUndoDataIsNoCopyOfWhatALinkLeadsTo(t *testing.T) {
	dir := t.TempDir()
	victim, conf := filepath.Join(dir, "victim"), filepath.Join(dir, "conf")
	for _, file := range []string{victim, conf} {
		if err := os.WriteFile(file, []byte(filepath.Base(file)), 0o600); err != nil {
			t.Fatal(err)
		}
	}
	k := step.File{Files: safefile.Files{Before: func(what string, paths ...string) error {
		if what != "link" {
			return nil
		}
		if err := os.Remove(conf); err != nil {
			return err
		}
		return errors.Join(os.Symlink(victim, conf), syscall.EXDEV)
	}}}
	with := fmt.Sprintf(`{"path":%q,"content":"new"}`, conf)
	task := executor.NewTask(executor.Task{With: json.RawMessage(with), Dir: filepath.Join(dir, "state"), Attempt: 1}, nil,
		func(json.RawMessage, bool) error { return nil }, nil)
	err := k.Run(t.Context(), task)
	if text, _ := os.ReadFile(filepath.Join(dir, "state", "old")); err == nil || string(text) == "victim" {
		t.Errorf("got %v and %q kept, want a failure and nothing of the victim", err, text)
	}
}
