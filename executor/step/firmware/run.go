package firmware

import (
	"cmp"
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"slices"
	"strings"
	"syscall"
	"time"

	"github.com/ratchetd/ratchet/executor"
	"github.com/ratchetd/ratchet/executor/step/process"
	"github.com/ratchetd/ratchet/executor/step/safefile"
	"github.com/ratchetd/ratchet/updater"
)

const (
	writeTimeout  = time.Hour
	rebootTimeout = 10 * time.Minute
)

// Run implements executor.Kind.
func (k Kind) Run(ctx context.Context, t *executor.Task) error {
	with, err := parseFirmware(t.With)
	if err != nil {
		return err
	}
	if err := k.permits(with); err != nil {
		return err
	}
	s, now, err := k.look(ctx, t, with)
	if err != nil {
		return err
	}
	switch {
	case s.state.Phase != fetching && s.isNew(now): // a power cut behind the write boots it too
		return s.booted(now)
	case s.rebooted():
		return s.fellBack(now)
	case s.state.Phase == fetching && now.Is(with.Version) && !with.Force:
		fmt.Fprintf(t.Output, "%s runs already\n", with.Version)
		return s.discard()
	}
	if s.state.Phase == booting && !s.backend.Kills { // it is written: the reboot did not come
		return s.reboot(ctx)
	}
	return s.renew(ctx, now)
}

// renew brings the image, writes it and boots it.
func (s *flashing) renew(ctx context.Context, now updater.System) error {
	if err := s.compatible(now); err != nil {
		return err
	}
	if err := s.settled(ctx); err != nil {
		return err
	}
	s.warn()
	if s.state.Phase == fetching {
		s.state.Backend, s.state.From = s.backend.Name, now
	}
	image, err := s.bring(ctx)
	write := s.Write
	switch {
	case s.mayStream(err):
		write = s.stream
	case err != nil:
		return err
	case s.backend.Test != nil:
		if err := s.backend.Test(ctx, image); err != nil {
			return fmt.Errorf("the board does not take the image: %w", err)
		}
	}
	if s.backend.Kills {
		return s.flash(ctx, image)
	}
	if err := s.arm(ctx, &image); err != nil {
		return err
	}
	if err := write(ctx, image); err != nil {
		return err
	}
	if err := s.noteChosen(ctx); err != nil {
		return err
	}
	if cause := context.Cause(ctx); cause != nil { // it was to be finished first
		return cause
	}
	return s.reboot(ctx)
}

// compatible says why this image is not for this device.
func (s *flashing) compatible(now updater.System) error {
	if s.with.Board != "" && !slices.Contains(now.Boards, s.with.Board) {
		return fmt.Errorf("board: the image is for %s, and this board calls itself %s", s.with.Board, cmp.Or(strings.Join(now.Boards, " or "), "nothing"))
	}
	if s.with.Force {
		return nil
	}
	failed, err := s.failures()
	if err != nil {
		return err
	}
	for _, f := range failed {
		if f.SHA256 == s.with.SHA256 {
			return fmt.Errorf("this image (%s) did not last on this device in job %s: %s; force: true writes it all the same", f.Version, f.Job, f.Reason)
		}
	}
	return nil
}

// warn tells, before anything is written, what speaks against it.
func (s *flashing) warn() {
	if !s.backend.Slots {
		s.t.Warn("there is no way back on this board: " + s.backend.Why)
	}
	for _, text := range append(s.Board.Deciders(s.backend), s.inSlot()...) {
		s.t.Warn(text)
	}
	if s.backend.KeepIn == "" {
		return
	}
	if text := s.Board.KeepWarning(s.kept(), s.Binary); text != "" {
		s.t.Warn(text)
	}
}

// inSlot warns of a journal that the new system would not find.
func (s *flashing) inSlot() []string {
	var state, root syscall.Stat_t
	if !s.backend.Slots || s.Board.Root != "" || syscall.Stat(s.Dir, &state) != nil || syscall.Stat("/", &root) != nil || state.Dev != root.Dev {
		return nil
	}
	return []string{s.Dir + " lies on the root file system: if each slot has its own, the new system knows nothing of this job; move state to a partition that both mount"}
}

func (s *flashing) kept() []string { return s.Board.Kept(s.Keep, s.Binary) }

// Write writes the image. Neither a cancel nor a timeout of the job's cuts it.
func (s *flashing) Write(ctx context.Context, image updater.Image) error {
	ctx, cancel := s.uncancelled(ctx)
	defer cancel()
	fmt.Fprintf(s.t.Output, "writing %s with %s\n", s.with.Version, s.backend.Name)
	err := s.backend.Install(ctx, image, func(f float64) { s.t.Progress(0.5 + f/2) })
	if errors.Is(err, updater.ErrPending) {
		return s.refused(err)
	}
	if err != nil {
		return fmt.Errorf("writing the image: %w", err)
	}
	return nil
}

// uncancelled is a context that only a stopping agent ends, after a while, or
// the time that nothing takes.
func (s *flashing) uncancelled(ctx context.Context) (context.Context, context.CancelFunc) {
	ctx, end := context.WithCancelCause(context.WithoutCancel(ctx))
	ctx, cancel := context.WithTimeoutCause(ctx, writeTimeout, fmt.Errorf("it was not done within %s", writeTimeout))
	go func() {
		select {
		case <-ctx.Done():
			return
		case <-s.t.Stopping:
		}
		if executor.Sleep(ctx, nil, 3*process.Grace) == nil {
			end(executor.ErrStopped)
		}
	}()
	over := s.t.Watch(ctx)
	return ctx, func() { over(); cancel(); end(nil) }
}

// reboot boots what is written, or what a rollback has chosen.
func (s *flashing) reboot(ctx context.Context) error {
	s.state.Phase, s.state.Boot = booting, s.t.Boot
	if err := s.t.SaveBeforeReboot(&s.state); err != nil {
		return err
	}
	ctx, cancel := context.WithTimeoutCause(ctx, rebootTimeout, fmt.Errorf("the device did not reboot within %s", rebootTimeout))
	defer cancel()
	return process.Reboot(ctx, s.t, s.Reboot)
}

// flash is a write that does not return. The tar of what is kept reads the
// journal, so nothing is written to that meanwhile.
func (s *flashing) flash(ctx context.Context, image updater.Image) error {
	if err := s.listKept(); err != nil {
		return err
	}
	image.Keep = s.kept()
	if err := s.warned(ctx); err != nil {
		return err
	}
	if cause := context.Cause(ctx); cause != nil {
		return cause
	}
	fmt.Fprintf(s.t.Output, "flashing %s\n", s.with.Version)
	s.state.Phase, s.state.Boot = booting, s.t.Boot
	if err := s.t.SaveBeforeReboot(&s.state); err != nil {
		return err
	}
	ctx, cancel := context.WithTimeoutCause(context.WithoutCancel(ctx), rebootTimeout,
		fmt.Errorf("the device did not reboot within %s", rebootTimeout))
	defer cancel()
	defer s.t.Watch(ctx)()
	thaw := func() {}
	if s.Freeze != nil {
		thaw = s.Freeze()
	}
	err := s.backend.Install(ctx, image, s.t.Progress)
	if !errors.Is(err, executor.ErrStopped) { // else it is sysupgrade that ends the agent
		thaw()
	}
	return err
}

// warned makes sure that what speaks against the flash is told before it. A
// cancel that is the answer to that ends the step.
func (s *flashing) warned(ctx context.Context) error {
	if s.Tell == nil {
		return nil
	}
	if err := s.save(); err != nil {
		return err
	}
	ctx, cancel := executor.UntilStop(ctx, s.t.Stopping)
	defer cancel(nil)
	s.Tell(ctx, s.t.Job)
	return context.Cause(ctx)
}

// listKept writes the list of what a flash must keep.
func (s *flashing) listKept() error {
	if s.backend.KeepIn == "" {
		return nil
	}
	if s.state.KeepIn == "" && !safefile.Exists(s.backend.KeepIn) {
		s.state.KeepIn = s.backend.KeepIn
		if err := s.save(); err != nil {
			return err
		}
	}
	list := strings.Join(s.kept(), "\n") + "\n"
	return s.Files.Write(s.backend.KeepIn, strings.NewReader(list), safefile.Attrs{Mode: 0o644, UID: -1, GID: -1})
}

// booted ends the run: the new system runs, and the trial begins.
func (s *flashing) booted(now updater.System) error {
	if len(now.Versions) > 0 && !now.Is(s.with.Version) {
		return fmt.Errorf("the system that came up says that it is %s, want %s", now.Version(), s.with.Version)
	}
	if err := s.discard(); err != nil {
		return err
	}
	fmt.Fprintf(s.t.Output, "%s runs\n", s.with.Version)
	result, err := json.Marshal(map[string]string{
		"backend": s.state.Backend, "from": s.state.From.Version(), "to": s.with.Version, "slot": now.Slot})
	s.t.Result = result
	return err
}

// fellBack ends the run: the board has booted, and not the new system.
func (s *flashing) fellBack(now updater.System) error {
	why := fmt.Sprintf("after the boot %s runs: the new system did not come up, or was not taken", now.Version())
	return errors.Join(errors.New(why), s.discard(), s.remember("it did not come up"))
}

// discard removes the image that this step has brought.
func (s *flashing) discard() error {
	if s.state.Part == "" {
		return nil
	}
	return s.Files.RemoveDurably(s.state.Part)
}
