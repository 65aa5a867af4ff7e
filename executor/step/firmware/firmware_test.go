package firmware_test

import (
	"context"
	"errors"
	"fmt"
	"os"
	"path/filepath"
	"strings"
	"testing"
	"time"

	"github.com/ratchetd/ratchet/executor"
	"github.com/ratchetd/ratchet/executor/step/firmware"
	"github.com/ratchetd/ratchet/executor/step/policy"
	"github.com/ratchetd/ratchet/executor/step/steptest"
	"github.com/ratchetd/ratchet/updater"
)

func TestFirmwareRefuses(t *testing.T) {
	sum := strings.Repeat("a", 64)
	for with, want := range map[string]string{
		`{}`: "url: want an address",
		`{"url":"ftp://x/i","sha256":"` + sum + `","version":"2"}`:                              "url: want an address",
		`{"url":"http://x/i","image":"/tmp/i","sha256":"` + sum + `","version":"2"}`:            "exactly one of url and image",
		`{"image":"tmp/i","sha256":"` + sum + `","version":"2"}`:                                "image: ",
		`{"image":"/tmp/i","sha256":"abc","version":"2"}`:                                       "sha256: ",
		`{"image":"/tmp/i","sha256":"` + sum + `"}`:                                             "version: want the version",
		`{"image":"/tmp/i","sha256":"` + sum + `","version":"2","backend":"fwupd"}`:             `backend: "fwupd": want one of`,
		`{"image":"/tmp/i","sha256":"` + sum + `","version":"2","signature":"yes"}`:             "signature: ",
		`{"image":"/proc/self/mem","sha256":"` + sum + `","version":"2"}`:                       "is protected",
		`{"url":"http://evil/i","sha256":"` + sum + `","version":"2"}`:                          "policy.urls",
		`{"image":"/tmp/i","sha256":"` + sum + `","version":"2","keepSettings":"no"}`:           "keepSettings",
		`{"image":"/tmp/i","sha256":"` + sum + `","version":"2","slot":"A"}`:                    "slot: unknown field",
		`{"url":"http://good/i","sha256":"` + sum + `","version":"2","signature":"http://e/s"}`: "policy.keys is empty",
	} {
		steptest.WantError(t, firmware.Kind{Policy: policy.Policy{URLs: []string{"good"}}}.Check([]byte(with)), want)
	}
	signed := firmware.Kind{Keys: []string{"RWQ"}}
	steptest.WantError(t, signed.Check([]byte(`{"image":"/tmp/i","sha256":"`+sum+`","version":"2"}`)), "must be signed")
}

// A flight is a firmware step on a board, through its reboots.
type flight struct {
	*steptest.Attempt
	t    *testing.T
	dir  string // of the board
	kind firmware.Kind
	boot int
}

// newFlight is a step on the board with two slots, whose script is a real one.
func newFlight(t *testing.T, version, more string) *flight {
	dir := filepath.Join(t.TempDir(), "board")
	if err := errors.Join(os.Mkdir(dir, 0o755), steptest.NewBoard(dir), os.WriteFile(filepath.Join(dir, "new.img"), steptest.Image(version), 0o644)); err != nil {
		t.Fatal(err)
	}
	f := &flight{t: t, dir: dir, kind: steptest.OnBoard(dir)}
	f.kind.Reboot = []string{"/bin/touch", filepath.Join(dir, "rebooting")}
	f.Attempt = steptest.NewAttempt(t, `{"image":%q,"sha256":%q,"version":%q%s}`, filepath.Join(dir, "new.img"), steptest.Digest(steptest.Image(version)), version, more)
	return f
}

// through runs act until the device reboots or it returns. The device is
// powered on again, in whatever slot its boot loader takes.
func (f *flight) through(act func() error) (err error, rebooted bool) {
	f.t.Helper()
	f.Stop = make(chan struct{})
	f.Stopping = f.Stop
	done := make(chan bool)
	go func() {
		for ; ; time.Sleep(time.Millisecond) {
			select {
			case <-done:
				return
			default:
			}
			if _, err := os.Stat(filepath.Join(f.dir, "rebooting")); err == nil {
				close(f.Stop)
				return
			}
		}
	}()
	err = act()
	close(done)
	if os.Remove(filepath.Join(f.dir, "rebooting")) != nil {
		return err, false
	}
	f.boot++
	f.Boot = fmt.Sprint("boot-", f.boot+1)
	return err, true
}

func (f *flight) run() error {
	f.t.Helper()
	for range 5 {
		err, rebooted := f.through(func() error { return f.Attempt.Run(f.t.Context(), f.kind) })
		if !rebooted {
			return err
		}
		f.reset()
	}
	return errors.New("it reboots for ever")
}

func (f *flight) undoAll() error {
	f.t.Helper()
	for range 5 {
		err, rebooted := f.through(func() error { return f.Attempt.Undo(f.kind) })
		if !rebooted {
			return err
		}
		f.reset()
	}
	return errors.New("it reboots for ever")
}

// reset is the board's boot.
func (f *flight) reset() {
	f.t.Helper()
	if err := steptest.Slots(f.dir).Script("boot"); err != nil {
		f.t.Fatal(err)
	}
}

func (f *flight) runs() string {
	b := steptest.Slots(f.dir)
	return b.Get("slots/"+b.Get("running")) + " in " + b.Get("running")
}

func TestFirmwareIsWrittenAndBootedAndMadeFinal(t *testing.T) {
	f := newFlight(t, "2.0", `,"board":"stand-in"`)
	if err := f.run(); err != nil {
		t.Fatal(err)
	}
	if got, want := f.runs(), "2.0 in B"; got != want {
		t.Errorf("got %s, want %s", got, want)
	}
	if err := f.kind.Confirm(t.Context(), f.Next()); err != nil {
		t.Error(err)
	}
	for range 5 { // the board goes back at the fourth boot of one that nobody confirms
		f.reset()
	}
	if got, want := f.runs(), "2.0 in B"; got != want {
		t.Errorf("after five boots got %s, want %s", got, want)
	}
	if got, want := f.Fraction, 0.75; got != want {
		t.Errorf("got progress %v, want the script's: %v", got, want)
	}
	again := steptest.NewAttempt(t, "%s", f.With)
	if err := again.Run(t.Context(), f.kind); err != nil || again.Out.String() != "2.0 runs already\n" {
		t.Errorf("got %v, %q, want nothing to do", err, again.Out.String())
	}
}

// TestFirmwareThatDidNotLastIsNotTakenAgain neither when it did not come up nor
// when it was taken back, in a later job, after restarts; but when forced.
func TestFirmwareThatDidNotLastIsNotTakenAgain(t *testing.T) {
	for name, end := range map[string]struct{ version, want string }{
		"does not come up": {"bad 2.0", "after the boot 1.0 runs: the new system did not come up"},
		"is taken back":    {"2.0", ""},
	} {
		f := newFlight(t, end.version, "")
		err := f.run()
		if end.want != "" {
			steptest.WantError(t, err, end.want)
		} else if err != nil {
			t.Error(err)
		}
		for range 2 {
			if err := f.undoAll(); err != nil {
				t.Error(err)
			}
		}
		if got, want := f.runs(), "1.0 in A"; got != want {
			t.Errorf("%s: got %s, want %s", name, got, want)
		}
		later := steptest.NewAttempt(t, "%s", f.With)
		steptest.WantError(t, later.Run(t.Context(), f.kind), "did not last on this device in job job-1", "force: true")
		with := strings.TrimSuffix(string(f.With), "}") + `,"force":true}`
		f.Attempt = steptest.NewAttempt(t, "%s", with)
		if err := f.run(); end.want == "" && err != nil {
			t.Errorf("%s: forced: got %v, want it written", name, err)
		}
	}
}

func TestTheListOfWhatDidNotLastIsBounded(t *testing.T) {
	f := newFlight(t, "2.0", "")
	for i := range 20 {
		f.With = fmt.Appendf(nil, `{"image":%q,"sha256":%q,"version":"2.0"}`, filepath.Join(f.dir, "new.img"), steptest.Digest(fmt.Append(nil, i)))
		if err := os.WriteFile(filepath.Join(f.dir, "new.img"), fmt.Append(nil, i), 0o644); err != nil {
			t.Fatal(err)
		}
		f.kind.Board.Run = steptest.Slots(f.dir).Run // which boots what is no image
		f.Attempt.Saved = nil
		_ = f.run() // its version is not 2.0
		if err := f.undoAll(); err != nil {
			t.Fatal(err)
		}
	}
	text, err := os.ReadFile(filepath.Join(filepath.Dir(f.dir), "firmware.json"))
	if got := strings.Count(string(text), "sha256"); err != nil || got != 16 {
		t.Errorf("got %d images remembered (%v), want the last 16", got, err)
	}
}

func TestFirmwareIsHeldAgainstItsBoardItsSumAndItsSignature(t *testing.T) {
	f := newFlight(t, "2.0", `,"board":"other"`)
	steptest.WantError(t, f.run(), "the image is for other, and this board calls itself stand-in")
	f = newFlight(t, "2.0", "")
	if err := os.WriteFile(filepath.Join(f.dir, "new.img"), steptest.Image("3.0"), 0o644); err != nil {
		t.Fatal(err)
	}
	steptest.WantError(t, f.run(), "image: sha256 of ")
	for _, open := range []string{"new.img", ""} {
		f = newFlight(t, "2.0", "")
		if err := os.Chmod(filepath.Join(f.dir, open), 0o777); err != nil {
			t.Fatal(err)
		}
		steptest.WantError(t, f.run(), "could be changed by others")
	}
	f = newFlight(t, "2.0", `,"signature":"untrusted comment: x\nRUQ"`)
	f.kind.Keys = []string{"RWQ"}
	steptest.WantError(t, f.run(), "signature: ")
	for _, f := range []*flight{newFlight(t, "2.0", `,"backend":"rauc"`)} {
		f.kind.Board.Root = t.TempDir()
		steptest.WantError(t, f.run(), "this board has no rauc")
	}
	if got, want := f.runs(), "1.0 in A"; got != want || steptest.Slots(f.dir).Get("slots/B") != "empty" {
		t.Errorf("got %s and %s in B, want nothing written", got, steptest.Slots(f.dir).Get("slots/B"))
	}
}

// TestAnImageWriteThatHasBegunIsNotCancelled: it is finished, and then the
// cancel ends the step and takes it back before it is booted.
func TestAnImageWriteThatHasBegunIsNotCancelled(t *testing.T) {
	f := newFlight(t, "2.0", "")
	ctx, cancel := context.WithCancelCause(t.Context())
	f.kind.Board.Run = func(_ context.Context, c updater.Call) (updater.Answer, error) {
		if c.Argv[1] == "install" {
			cancel(executor.Cancel{})
			time.Sleep(20 * time.Millisecond)
		}
		return steptest.Slots(f.dir).Run(t.Context(), c)
	}
	err, rebooted := f.through(func() error { return f.Attempt.Run(ctx, f.kind) })
	if !errors.Is(err, executor.Cancel{}) || rebooted || steptest.Slots(f.dir).Get("slots/B") != "2.0" {
		t.Errorf("got %v, rebooted %v, %s in B, want it written, cancelled and not booted", err, rebooted, steptest.Slots(f.dir).Get("slots/B"))
	}
	if err := f.undoAll(); err != nil || steptest.Slots(f.dir).Get("next") != "A" {
		t.Errorf("got %v and %s next, want A", err, steptest.Slots(f.dir).Get("next"))
	}
	if _, err := os.Stat(filepath.Join(filepath.Dir(f.dir), "firmware.json")); err == nil {
		t.Error("got the image remembered as one that did not last, want that only of one that was booted")
	}
}

// TestABoardThatDoesNotGoBackIsGivenUp: three reboots, no more.
func TestABoardThatDoesNotGoBackIsGivenUp(t *testing.T) {
	f := newFlight(t, "2.0", "")
	if err := errors.Join(f.run(), f.kind.Confirm(t.Context(), f.Next())); err != nil {
		t.Fatal(err)
	}
	f.kind.Board.Run = func(_ context.Context, c updater.Call) (updater.Answer, error) {
		if c.Argv[1] == "rollback" {
			return updater.Answer{}, nil // it says so, and does nothing
		}
		a, err := steptest.Slots(f.dir).Run(t.Context(), c)
		a.Out = strings.Replace(a.Out, `"next":"B"`, `"next":""`, 1)
		return a, err
	}
	before := f.boot
	steptest.WantError(t, f.undoAll(), "the board came back with the new system 3 times")
	if got := f.boot - before; got != 3 {
		t.Errorf("got %d reboots, want 3", got)
	}
}
