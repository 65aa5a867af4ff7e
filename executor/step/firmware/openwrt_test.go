package firmware_test

import (
	"context"
	"errors"
	"os"
	"os/exec"
	"path/filepath"
	"strings"
	"testing"
	"time"

	"github.com/ratchetd/ratchet/executor"
	"github.com/ratchetd/ratchet/executor/step/firmware"
	"github.com/ratchetd/ratchet/executor/step/steptest"
	"github.com/ratchetd/ratchet/updater"
)

// newRouter is a step on an OpenWrt whose tree is a folder, and whose sysupgrade
// is the stand-in.
func newRouter(t *testing.T, more string) *flight {
	t.Helper()
	dir := filepath.Join(t.TempDir(), "router")
	sysupgrade, err := os.ReadFile("../../../updater/testdata/bin/sysupgrade")
	files := map[string]string{
		"sbin/sysupgrade": string(sysupgrade), "tmp/sysinfo/board_name": "acme,r1\n", "lib/upgrade/keep.d/base": "/etc/config/\n",
		"etc/openwrt_release": "DISTRIB_RELEASE='23.05.0'\n", "etc/config/network": "lan\n", "etc/ratchet/ratchet.toml": "x\n",
		"etc/ratchet/state/ratchet.db": "journal\n", "usr/sbin/ratchetd": "binary\n", "etc/init.d/ratchet": "init\n",
		"etc/rc.d/S95ratchet": "init\n", "proc/meminfo": "MemAvailable:   30000 kB\n",
	}
	for path, text := range files {
		path = filepath.Join(dir, path)
		err = errors.Join(err, os.MkdirAll(filepath.Dir(path), 0o755), os.WriteFile(path, []byte(text), 0o755))
	}
	if err != nil {
		t.Fatal(err)
	}
	text := []byte("image for acme,r1\n")
	url, sum := steptest.Serve(t, text)
	f := &flight{t: t, dir: dir, kind: firmware.Kind{Board: updater.Board{Root: dir}, Dir: filepath.Join(dir, "etc/ratchet/state"),
		Keep: []string{"/etc/ratchet"}, Binary: "/usr/sbin/ratchetd", Patience: 200 * time.Millisecond}}
	f.Attempt = steptest.NewAttempt(t, `{"url":%q,"sha256":%q,"version":"24.10.1"%s}`, url, sum, more)
	return f
}

// flash runs the step until the device reboots into that version.
func (f *flight) flash(version string) (err error, rebooted bool) {
	f.t.Helper()
	err, rebooted = f.through(func() error { return f.Attempt.Run(f.t.Context(), f.kind) })
	text := "DISTRIB_RELEASE='" + version + "'\n"
	if e := os.WriteFile(filepath.Join(f.dir, "etc/openwrt_release"), []byte(text), 0o644); e != nil {
		f.t.Fatal(e)
	}
	return err, rebooted
}

// flashed lists what the flash has taken along.
func (f *flight) flashed() string {
	f.t.Helper()
	out, err := exec.Command("tar", "-tzf", filepath.Join(f.dir, "flash/sysupgrade.tgz")).Output()
	if err != nil {
		f.t.Fatal(err)
	}
	names := strings.Fields(string(out))
	var files []string
	for _, name := range names {
		if !strings.HasSuffix(name, "/") {
			files = append(files, name)
		}
	}
	return strings.Join(files, " ")
}

// TestAFlashKeepsTheAgentAndItsJournal: sysupgrade's tar holds the agent, what
// starts it and the journal, which nobody writes to from its last commit on.
func TestAFlashKeepsTheAgentAndItsJournal(t *testing.T) {
	const agent = "etc/ratchet/ratchet.toml etc/ratchet/state/ratchet.db"
	const program = "etc/init.d/ratchet etc/rc.d/S95ratchet"
	for more, want := range map[string]string{
		"":                      "etc/config/network " + program + " " + agent + " lib/upgrade/keep.d/ratchet usr/sbin/ratchetd",
		`,"keepSettings":false`: agent + " lib/upgrade/keep.d/ratchet usr/sbin/ratchetd " + program,
	} {
		f := newRouter(t, more)
		frozen, savesThen := 0, 0
		f.kind.Freeze = func() func() {
			savesThen = f.Saves
			frozen++
			return func() { frozen-- }
		}
		err, rebooted := f.flash("24.10.1")
		if !rebooted || !f.CutExpected || frozen != 1 || f.Saves != savesThen {
			t.Fatalf("%s: got %v, rebooted %v, expected %v, frozen %d, %d saves behind that", more, err, rebooted, f.CutExpected, frozen, f.Saves-savesThen)
		}
		got := f.flashed()
		for file := range strings.FieldsSeq(want) {
			if !strings.Contains(" "+got+" ", " "+file+" ") {
				t.Errorf("%s: got %s, want %s too", more, got, file)
			}
		}
		if more != "" && strings.Contains(got, "network") {
			t.Errorf("got %s, want no settings of the board's", got)
		}
		if err := f.run(); err != nil {
			t.Errorf("%s: after the boot: %v", more, err)
		}
		if err := f.kind.Confirm(t.Context(), f.Next()); err != nil {
			t.Error(err)
		}
		if err := f.Attempt.Undo(f.kind); !errors.Is(err, executor.ErrNoUndo) || !strings.Contains(err.Error(), "24.10.1 stays") {
			t.Errorf("got %v, want that there is no way back", err)
		}
	}
}

// TestTheVersionTellsWhetherAFlashWorked: the exit status of sysupgrade does not.
func TestTheVersionTellsWhetherAFlashWorked(t *testing.T) {
	f := newRouter(t, "")
	if err, rebooted := f.flash("23.05.0"); !rebooted {
		t.Fatal(err)
	}
	steptest.WantError(t, f.run(), "after the boot 23.05.0 runs")
	if err := f.Attempt.Undo(f.kind); err != nil {
		t.Errorf("got %v, want nothing to take back", err)
	}
	again := steptest.NewAttempt(t, "%s", f.With)
	steptest.WantError(t, again.Run(t.Context(), f.kind), "did not last on this device")
}

func TestAFlashThatCannotWorkIsNotBegun(t *testing.T) {
	for name, tt := range map[string]struct {
		file, text string
		want       string
	}{
		"another board": {"tmp/sysinfo/board_name", "other,r1\n", "the board does not take the image: sysupgrade: exit status 1: Device other,r1 not supported"},
		"no RAM":        {"proc/meminfo", "MemAvailable:   2000 kB\n", "no room in RAM"},
		"no reboot":     {"broken", "", "sysupgrade: it ended, and the device did not reboot"},
	} {
		f := newRouter(t, "")
		if err := os.WriteFile(filepath.Join(f.dir, tt.file), []byte(tt.text), 0o644); err != nil {
			t.Fatal(err)
		}
		thawed := 0
		f.kind.Freeze = func() func() { return func() { thawed++ } }
		steptest.WantError(t, f.run(), tt.want)
		if thawed == 0 && f.CutExpected {
			t.Errorf("%s: got a journal that stays frozen on a device that goes on", name)
		}
		if err := f.Attempt.Undo(f.kind); err != nil {
			t.Errorf("%s: %v", name, err)
		}
		if _, err := os.Stat(filepath.Join(f.dir, "lib/upgrade/keep.d/ratchet")); err == nil {
			t.Errorf("%s: got its list of what is kept left behind", name)
		}
	}
}

// A sysupgrade that has not commenced reboots nothing that would be worth a wait.
func TestASysupgradeThatFailsAtOnceIsNotWaitedFor(t *testing.T) {
	f := newRouter(t, "")
	if err := os.WriteFile(filepath.Join(f.dir, "refused"), nil, 0o644); err != nil {
		t.Fatal(err)
	}
	f.kind.Patience, f.Attempt.Timeout = 24*time.Hour, executor.Duration(time.Minute)
	steptest.WantError(t, f.run(), "sysupgrade: ", "exit status 1: Failed to create the backup")
}

func TestWhatABoardHasIsDescribed(t *testing.T) {
	router, slots := newRouter(t, ""), newFlight(t, "2.0", "")
	slots.kind.Board.Root = t.TempDir() // what this machine has is not what is asked
	none := firmware.Kind{Board: updater.Board{Root: t.TempDir()}}
	for _, tt := range []struct {
		kind firmware.Kind
		want string
	}{
		{none, "firmware: this board has none of script, rauc, swupdate, mender, sysupgrade"},
		{slots.kind, "firmware: script, runs 1.0 in A"},
		{router.kind, "firmware: sysupgrade, runs 23.05.0\nfirmware: there is no way back on this board: sysupgrade writes over the running system"},
	} {
		if got := strings.Join(tt.kind.Overview(t.Context()), "\n"); got != tt.want {
			t.Errorf("got %q, want %q", got, tt.want)
		}
	}
}

// TestWhatSpeaksAgainstAFlashIsToldBeforeIt: it waits for that, and a cancel
// that answers it ends the step before anything is written.
func TestWhatSpeaksAgainstAFlashIsToldBeforeIt(t *testing.T) {
	f := newRouter(t, "")
	var order []string
	f.kind.Tell = func(_ context.Context, job string) { order = append(order, "told "+job) }
	f.kind.Freeze = func() func() {
		order = append(order, "frozen")
		return func() {}
	}
	if err, rebooted := f.flash("24.10.1"); !rebooted || strings.Join(order, ", ") != "told job-1, frozen" {
		t.Errorf("got %v, rebooted %v, %v", err, rebooted, order)
	}

	f = newRouter(t, "")
	ctx, cancel := context.WithCancelCause(t.Context())
	f.kind.Tell = func(ctx context.Context, _ string) {
		cancel(executor.Cancel{})
		<-ctx.Done()
	}
	err, rebooted := f.through(func() error { return f.Attempt.Run(ctx, f.kind) })
	if _, flashed := os.Stat(filepath.Join(f.dir, "flash")); !errors.Is(err, executor.Cancel{}) || rebooted || flashed == nil {
		t.Errorf("got %v, rebooted %v, flashed %v, want it cancelled", err, rebooted, flashed == nil)
	}
}

// Where everybody may rename in the folder of the image it could be exchanged
// between that it is verified and that it is written.
func TestAnImageIsNotPutWhereOthersCouldExchangeIt(t *testing.T) {
	f := newRouter(t, "")
	if err := os.Chmod(filepath.Join(f.dir, "tmp"), 0o777); err != nil {
		t.Fatal(err)
	}
	err, rebooted := f.flash("23.05.0") // as it was
	if err == nil || rebooted || !strings.Contains(err.Error(), "could be changed by others") {
		t.Errorf("got %v (rebooted: %v), want it refused", err, rebooted)
	}
	if err := os.Chmod(filepath.Join(f.dir, "tmp"), 0o777|os.ModeSticky); err != nil {
		t.Fatal(err)
	}
	if err, rebooted := f.flash("24.10.1"); !rebooted { // what flashes ends the agent
		t.Errorf("once only root may rename there: got %v (rebooted: %v)", err, rebooted)
	}
}
