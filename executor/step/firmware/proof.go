package firmware

import (
	"context"
	"errors"
	"fmt"
	"io/fs"
	"maps"
	"os"
	"path/filepath"
	"strings"

	"github.com/ratchetd/ratchet/executor/step/safefile"
	"github.com/ratchetd/ratchet/updater"
)

// settled says why a write would take the place of the only system that has proven
// itself: the one that runs has not. What this step itself has begun it may write over.
func (s *flashing) settled(ctx context.Context) error {
	if s.state.Phase != fetching || s.with.Force || s.backend.Pending == nil {
		return nil
	}
	why, err := s.backend.Pending(ctx)
	if err == nil && why != "" {
		err = errors.New(why + settleFirst)
	}
	return err
}

const settleFirst = ": make that final or take it back first; force: true writes over the other system all the same"

// refused is for a board that says only when it is to write that it has another update
// under way: nothing was begun, so there is nothing of this step's to take back.
func (s *flashing) refused(err error) error {
	s.state.Phase = fetching
	return errors.Join(fmt.Errorf("%w%s", err, settleFirst), s.save())
}

// arm is the last moment before the write: what is there is kept, and that it begins
// is saved.
func (s *flashing) arm(ctx context.Context, image *updater.Image) error {
	if err := s.settled(ctx); err != nil { // the image was long on its way
		return err
	}
	image.Over = s.with.Force || s.state.Phase != fetching
	if s.state.Phase == fetching {
		if err := s.keepEnvironment(ctx); err != nil {
			return err
		}
	}
	if err := s.leaveUndecided(); err != nil {
		return err
	}
	s.state.Phase = writing
	return s.save()
}

// leaveUndecided has what confirms a system at each boot leave this decision alone.
func (s *flashing) leaveUndecided() error {
	path := s.Board.Undecided()
	if path == "" || safefile.Exists(path) {
		return nil
	}
	return s.Files.Write(path, strings.NewReader(s.t.Job+"\n"), safefile.Attrs{Mode: 0o644, UID: -1, GID: -1})
}

// Forget removes what a step has left that ended otherwise than by its own end: as long
// as it is there nothing confirms the system at a boot.
func (k Kind) Forget() error {
	k.Board.Dir = k.Dir
	path := k.Board.Undecided()
	if path == "" || !safefile.Exists(path) {
		return nil
	}
	return k.Files.RemoveDurably(path)
}

// environmentCopy is the boot loader's environment as it was before this step.
func (s *flashing) environmentCopy() string { return filepath.Join(s.Dir, "uboot.env") }

// keepEnvironment keeps a copy beside the journal: what writes the environment are
// programs that may be wrong about where it lies.
func (s *flashing) keepEnvironment(ctx context.Context) error {
	if s.backend.Environment == nil || s.Dir == "" {
		return nil
	}
	env, err := s.backend.Environment(ctx)
	if err != nil || env == nil {
		return err
	}
	err = s.Files.Write(s.environmentCopy(), strings.NewReader(env.String()), safefile.Attrs{Mode: 0o600, UID: -1, GID: -1})
	if err != nil {
		return fmt.Errorf("keeping a copy of the boot loader's environment: %w", err)
	}
	return nil
}

// maxChosen bounds what is saved of the environment, in variables and bytes.
const maxChosen, maxChosenValue = 16, 256

// noteChosen notes by what the boot loader boots the new system from now on. It is
// saved with what is saved before the reboot.
func (s *flashing) noteChosen(ctx context.Context) error {
	if s.backend.Environment == nil || s.Dir == "" {
		return nil
	}
	now, err := s.backend.Environment(ctx)
	if err != nil || now == nil {
		return err
	}
	text, err := os.ReadFile(s.environmentCopy())
	if errors.Is(err, fs.ErrNotExist) {
		return nil
	}
	if err != nil {
		return err
	}
	before := updater.ParseEnvironment(string(text))
	chosen := now.Chosen(before)
	maps.DeleteFunc(chosen, func(name, value string) bool { return max(len(value), len(before[name])) > maxChosenValue })
	if len(chosen) <= maxChosen {
		maps.DeleteFunc(before, func(name, _ string) bool { return chosen[name] == "" })
		s.state.Chosen, s.state.Before = chosen, before
	}
	return nil
}

// makeFinal confirms the running system and has it proven: no exit status is proof.
func (s *flashing) makeFinal(ctx context.Context, now updater.System) error {
	env, err := s.environment(ctx)
	if err != nil {
		return err
	}
	if text := env.Uncounted(); text != "" {
		s.t.Warn(text)
	}
	again := s.state.Final
	if s.backend.Once && !again {
		s.state.Final = true
		if err := s.save(); err != nil {
			return err
		}
	}
	if err := s.backend.Confirm(ctx, again); err != nil {
		return err
	}
	return s.proven(ctx, now)
}

// environment is the boot loader's, where there is one that can be read.
func (s *flashing) environment(ctx context.Context) (updater.Environment, error) {
	if s.backend.Environment == nil {
		return nil, nil
	}
	return s.backend.Environment(ctx)
}

// next is the slot that boots from now on; empty where the board does not say.
func (s *flashing) next(ctx context.Context) (string, error) {
	if s.backend.Next == nil {
		return "", nil
	}
	return s.backend.Next(ctx)
}

// proven reads back what the boot loader does next.
func (s *flashing) proven(ctx context.Context, now updater.System) error {
	next, err := s.next(ctx)
	switch {
	case err != nil:
		return err
	case next != "" && next != now.Slot:
		return fmt.Errorf("the board says that all is well, and %s boots next, while %s runs", next, now.Slot)
	case next != "":
		return nil
	}
	env, err := s.environment(ctx)
	if err != nil {
		return err
	}
	if undone := env.Undone(s.state.Chosen, s.state.Before); len(undone) > 0 {
		return fmt.Errorf("the boot loader's %s is not what the image has set it to, so another system boots next", strings.Join(undone, ", "))
	}
	if len(s.state.Chosen) == 0 {
		s.t.Warn("that the new system boots from now on cannot be proven: " + s.backend.Name + " does not say which slot boots next")
	}
	return nil
}

// choseOld says why the old system is not the one that boots next, as far as the board says.
func (s *flashing) choseOld(ctx context.Context, now updater.System, isNew bool) error {
	next, err := s.next(ctx)
	if err == nil && next != "" && (next == now.Slot) == isNew {
		err = fmt.Errorf("choosing the old system: the board says that all is well, and %s boots next", next)
	}
	return err
}
