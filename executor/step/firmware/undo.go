package firmware

import (
	"context"
	"encoding/json"
	"errors"
	"fmt"

	"github.com/ratchetd/ratchet/executor"
	"github.com/ratchetd/ratchet/updater"
)

// maxRollbacks are the reboots in which a board may come back with the new system.
const maxRollbacks = 3

// ending reads what Run has saved, and which system runs. There is nothing to end or
// to undo when it has not begun to write.
func (k Kind) ending(ctx context.Context, t *executor.Task) (s *flashing, now updater.System, begun bool, err error) {
	var state firmwareState
	if found, err := t.Load(&state); !found || err != nil {
		return nil, now, false, err
	}
	var with firmwareWith
	if err := json.Unmarshal(t.With, &with); err != nil {
		return nil, now, false, err
	}
	if state.Phase == fetching {
		s := &flashing{Kind: k, t: t, with: with, state: state}
		return s, now, false, nil
	}
	s, now, err = k.look(ctx, t, with)
	return s, now, true, err
}

// Confirm implements executor.Confirmer. Between the trial and this, the board
// may have gone back by itself.
func (k Kind) Confirm(ctx context.Context, t *executor.Task) error {
	s, now, begun, err := k.ending(ctx, t)
	if err != nil || !begun {
		return err
	}
	if !s.isNew(now) {
		return s.fellBack(now)
	}
	if s.backend.Confirm == nil {
		return k.Forget()
	}
	ctx, cancel := s.uncancelled(ctx)
	defer cancel()
	if err := s.makeFinal(ctx, now); err != nil {
		return fmt.Errorf("making the new system final: %w", err)
	}
	return k.Forget()
}

// Undo implements executor.Undoer. It ends when the old system runs and is the
// one that boots.
func (k Kind) Undo(ctx context.Context, t *executor.Task) error {
	s, now, begun, err := k.ending(ctx, t)
	if err != nil || s == nil {
		return err
	}
	if err := s.tidy(); err != nil || !begun {
		return err
	}
	isNew := s.isNew(now)
	switch {
	case !s.backend.Slots && isNew:
		return fmt.Errorf("%s stays, for there is no way back on this board (%s): %w", now.Version(), s.backend.Why, executor.ErrNoUndo)
	case s.backend.Rollback == nil:
		return nil
	case isNew && s.state.Rollbacks >= maxRollbacks:
		return fmt.Errorf("the board came back with the new system %d times, although the old one was chosen", maxRollbacks)
	}
	if err := s.backend.Rollback(ctx, s.state.From.Slot); err != nil {
		return fmt.Errorf("choosing the old system: %w", err)
	}
	if err := s.choseOld(ctx, now, isNew); err != nil {
		return err
	}
	if isNew {
		s.state.Rollbacks++
		return s.reboot(ctx)
	}
	if err := k.Forget(); err != nil {
		return err
	}
	if !s.rebooted() {
		return nil
	}
	fmt.Fprintf(t.Output, "%s runs again\n", now.Version())
	return s.remember("it was taken back")
}

// tidy removes what the step has put beside the firmware.
func (s *flashing) tidy() error {
	err := s.discard()
	if s.state.KeepIn != "" {
		err = errors.Join(err, s.Files.RemoveDurably(s.state.KeepIn))
	}
	return err
}
