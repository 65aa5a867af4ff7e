package firmware_test

import (
	"bytes"
	"errors"
	"os"
	"os/exec"
	"path/filepath"
	"strings"
	"testing"

	"github.com/ratchetd/ratchet/executor/step/firmware"
	"github.com/ratchetd/ratchet/executor/step/steptest"
	"github.com/ratchetd/ratchet/updater"
)

// newTree is a step on a board whose files are below a folder, and whose programs are
// the stand-ins of package updater, or given as files.
func newTree(t *testing.T, files map[string]string, programs ...string) *flight {
	t.Helper()
	dir := filepath.Join(t.TempDir(), "tree")
	f := &flight{t: t, dir: dir, kind: firmware.Kind{Board: updater.Board{Root: dir}, Dir: filepath.Join(dir, "state")}}
	for _, p := range programs {
		text, err := os.ReadFile(filepath.Join("../../../updater/testdata/bin", filepath.Base(p)))
		if err != nil {
			t.Fatal(err)
		}
		files[p] = string(text)
	}
	files["state/none"], files["new.img"] = "", string(steptest.Image("2.0"))
	for path := range files {
		f.put(path, strings.ReplaceAll(files[path], "ROOT", dir))
	}
	f.kind.Reboot = []string{"/bin/touch", filepath.Join(dir, "rebooting")}
	f.step("")
	return f
}

// step is one that has not begun yet, with these further parameters.
func (f *flight) step(more string) {
	f.Attempt = steptest.NewAttempt(f.t, `{"image":%q,"sha256":%q,"version":"2.0"%s}`,
		filepath.Join(f.dir, "new.img"), steptest.Digest(steptest.Image("2.0")), more)
}

func (f *flight) put(path, text string) {
	f.t.Helper()
	path = filepath.Join(f.dir, path)
	if err := errors.Join(os.MkdirAll(filepath.Dir(path), 0o755), os.WriteFile(path, []byte(text), 0o755)); err != nil {
		f.t.Fatal(err)
	}
}

func (f *flight) text(path string) string {
	text, _ := os.ReadFile(filepath.Join(f.dir, path)) // none: empty
	return strings.TrimSpace(string(text))
}

// boots runs the step until the device reboots, and what the board does then.
func (f *flight) boots(board func()) {
	f.t.Helper()
	if err, rebooted := f.through(func() error { return f.Attempt.Run(f.t.Context(), f.kind) }); !rebooted {
		f.t.Fatalf("got %v and no reboot", err)
	}
	board()
	if err := f.Attempt.Run(f.t.Context(), f.kind); err != nil {
		f.t.Fatal(err)
	}
}

func (f *flight) confirm() error { return f.kind.Confirm(f.t.Context(), f.Next()) }

// swupdateClient writes slot B, whose number SWUpdate's library arms with its own way
// to the environment.
const swupdateClient = `#!/bin/sh
[ "$2" != -d ] || exit 0
printf 'boot_slot=B\ntries=3\nupgrade_available=1\nbootcount=0\n' | ROOT/usr/bin/fw_setenv -s -
`

// environments are boards with the environment of U-Boot: of the stand-ins and, where
// they are installed, of the real tools of libubootenv.
func environments(t *testing.T, each func(t *testing.T, f *flight)) {
	t.Run("stand-ins", func(t *testing.T) { each(t, newUBoot(t)) })
	t.Run("libubootenv", func(t *testing.T) {
		if _, err := exec.LookPath("/usr/bin/fw_setenv"); err != nil {
			t.Skip("libubootenv-tool is not installed: make deps")
		}
		f := newUBoot(t)
		for _, tool := range []string{"fw_printenv", "fw_setenv"} {
			f.put("usr/bin/"+tool, strings.ReplaceAll("#!/bin/sh\nexec /usr/bin/"+tool+" -c ROOT/etc/fw_env.config -f ROOT/etc/default \"$@\"\n", "ROOT", f.dir))
		}
		f.put("etc/fw_env.config", strings.ReplaceAll("ROOT/env 0x0 0x2000\nROOT/env2 0x0 0x2000\n", "ROOT", f.dir))
		f.put("env", strings.Repeat("\x00", 0x2000))
		f.put("env2", strings.Repeat("\x00", 0x2000))
		f.setenv("bootcmd=run ours\n")
		each(t, f)
	})
}

// newUBoot is a board with SWUpdate and the stand-ins of U-Boot's tools.
func newUBoot(t *testing.T) *flight {
	files := map[string]string{"usr/bin/swupdate-client": swupdateClient, "tmp/sockinstctrl": "", "etc/sw-versions": "system 1.0\n",
		"proc/cmdline": "root=/dev/a", "etc/fw_env.config": "ROOT/env 0x0 0x2000\n",
		"etc/default": "bootcmd=run default\nbootlimit=3\naltbootcmd=run other\nupgrade_available=0\nbootcount=0\nboot_slot=A\n"}
	for _, tool := range []string{"fw_printenv", "fw_setenv"} {
		files["usr/bin/"+tool] = "#!/bin/sh\nexec ROOT/tools/" + tool + " -c ROOT/etc/fw_env.config \"$@\"\n"
	}
	f := newTree(t, files, "tools/fw_printenv", "tools/fw_setenv")
	f.put("env", strings.Replace(f.text("etc/default"), "run default", "run ours", 1)+"\n")
	return f
}

// setenv is what somebody else does to the environment.
func (f *flight) setenv(script string) {
	f.t.Helper()
	cmd := exec.Command(filepath.Join(f.dir, "usr/bin/fw_setenv"), "-s", "-")
	cmd.Stdin = strings.NewReader(script)
	if out, err := cmd.CombinedOutput(); err != nil {
		f.t.Fatalf("%v: %s", err, out)
	}
}

func (f *flight) env() string {
	f.t.Helper()
	out, err := exec.Command(filepath.Join(f.dir, "usr/bin/fw_printenv")).Output()
	if err != nil {
		f.t.Fatal(err)
	}
	return string(out)
}

// TestAnEnvironmentThatWasNotReadIsNotWritten: with a wrong size in fw_env.config the
// tools show a default one and end well, and the first write destroyed what was there.
func TestAnEnvironmentThatWasNotReadIsNotWritten(t *testing.T) {
	environments(t, func(t *testing.T, f *flight) {
		before := f.text("env") + f.text("env2")
		f.put("etc/fw_env.config", strings.ReplaceAll(f.text("etc/fw_env.config"), "0x2000", "0x1000")+"\n")
		err, _ := f.through(func() error { return f.Attempt.Run(t.Context(), f.kind) })
		steptest.WantError(t, err, "fw_printenv: ", "was not read, so it is not written either: see /etc/fw_env.config")
		if f.text("env")+f.text("env2") != before {
			t.Error("got another environment, want it as it was")
		}
		if lines := strings.Join(f.kind.Overview(t.Context()), "\n"); !strings.Contains(lines, "see /etc/fw_env.config") {
			t.Errorf("got %s, want that the environment cannot be read", lines)
		}
	})
}

// TestTheEnvironmentIsKeptBesideTheJournal as it was before the first write.
func TestTheEnvironmentIsKeptBesideTheJournal(t *testing.T) {
	environments(t, func(t *testing.T, f *flight) {
		if err, rebooted := f.through(func() error { return f.Attempt.Run(t.Context(), f.kind) }); !rebooted {
			t.Fatal(err)
		}
		got := f.text("state/uboot.env")
		for _, want := range []string{"boot_slot=A", "bootcmd=run ours", "upgrade_available=0"} {
			if !strings.Contains(got, want) {
				t.Errorf("got %q kept, want %s in it", got, want)
			}
		}
	})
}

// TestUBootMustBootWhatTheImageHasChosen: where the boot loader went back and forth, or
// somebody has chosen another slot, the running one is not final.
func TestUBootMustBootWhatTheImageHasChosen(t *testing.T) {
	for name, tt := range map[string]struct{ script, want string }{
		"as chosen":         {"bootcount=1\n", ""},
		"tries counted":     {"tries=2\n", ""},
		"another slot next": {"bootcount=1\nboot_slot=A\n", "the boot loader's boot_slot is not what the image has set it to"},
	} {
		t.Run(name, func(t *testing.T) {
			environments(t, func(t *testing.T, f *flight) {
				f.boots(func() {
					f.put("etc/sw-versions", "system 2.0\n")
					f.put("proc/cmdline", "root=/dev/b")
					f.setenv(tt.script)
				})
				err := f.confirm()
				if tt.want != "" {
					steptest.WantError(t, err, tt.want)
				} else if err != nil || !strings.Contains(f.env(), "upgrade_available=0") {
					t.Errorf("got %v and %s, want it final", err, f.env())
				}
			})
		})
	}
}

// TestAnOldSystemIsKnownByItsPartition: the card that it lies on may have another number
// after the boot, and it must not be taken for the new one, and left.
func TestAnOldSystemIsKnownByItsPartition(t *testing.T) {
	f := newUBoot(t)
	f.put("proc/cmdline", "root=PARTUUID=6c586e13-02")
	f.mount("mmcblk0p2")
	if err, rebooted := f.through(func() error { return f.Attempt.Run(t.Context(), f.kind) }); !rebooted {
		t.Fatalf("got %v and no reboot", err)
	}
	f.mount("mmcblk1p2")
	f.setenv("boot_slot=A\nupgrade_available=0\n") // U-Boot went back by itself
	steptest.WantError(t, f.Attempt.Run(t.Context(), f.kind), "after the boot 1.0 runs")
	if _, rebooted := f.through(func() error { return f.Attempt.Undo(f.kind) }); rebooted || !strings.Contains(f.env(), "upgrade_available=0") {
		t.Errorf("got a reboot %v and %s, want the old system left as it is", rebooted, f.env())
	}
}

// TestBootsThatAreCountedElsewhereLeaveNoWayBack: in RAM or in a register.
func TestBootsThatAreCountedElsewhereLeaveNoWayBack(t *testing.T) {
	f := newTree(t, map[string]string{"usr/bin/swupdate-client": swupdateClient, "tmp/sockinstctrl": "", "etc/sw-versions": "system 1.0\n",
		"env": "bootlimit=3\naltbootcmd=run other\n", "etc/fw_env.config": "ROOT/env 0x0 0x2000\n",
		"usr/bin/fw_printenv": "#!/bin/sh\ncat ROOT/env\n", "usr/bin/fw_setenv": "#!/bin/sh\n"})
	if got := strings.Join(f.kind.Overview(t.Context()), "\n"); !strings.Contains(got, "there is no way back on this board: U-Boot does not count boots in its environment") {
		t.Errorf("got %s, want that there is no way back", got)
	}
}

func newRAUC(t *testing.T) *flight {
	return newTree(t, map[string]string{"etc/rauc/system.conf": "[system]\nbootloader=custom\n", "rauc/booted": "A\n", "rauc/primary": "A\n",
		"rauc/state-A": "good\n", "rauc/state-B": "good\n", "rauc/A": "1.0\n", "rauc/B": "0.9\n"}, "usr/bin/rauc")
}

// TestRAUCMustShowTheRunningSlotGoodAndNext: that mark-good ends well is no proof.
func TestRAUCMustShowTheRunningSlotGoodAndNext(t *testing.T) {
	for name, tt := range map[string]struct {
		then map[string]string
		want string
	}{
		"good":                         {nil, ""},
		"both stay bad":                {map[string]string{"deaf": "", "state-A": "bad\n", "state-B": "bad\n"}, "has marked slot B good, and its boot status is bad"},
		"the other one boots next":     {map[string]string{"primary": "A\n"}, "A boots next, while B runs"},
		"what boots next is not known": {map[string]string{"primary": "\n"}, "rauc cannot say which slot boots next"},
	} {
		t.Run(name, func(t *testing.T) {
			f := newRAUC(t)
			f.boots(func() {
				f.put("rauc/booted", "B\n")
				for path, text := range tt.then {
					f.put("rauc/"+path, text)
				}
			})
			if err := f.confirm(); tt.want == "" && err != nil {
				t.Error(err)
			} else if tt.want != "" {
				steptest.WantError(t, err, "making the new system final: ", tt.want)
			}
		})
	}
}

// TestASystemIsUndecidedFromTheWriteToItsEnd: for so long there is firmware.trial, which
// what confirms a system at each boot heeds.
func TestASystemIsUndecidedFromTheWriteToItsEnd(t *testing.T) {
	for end, want := range map[string]string{"confirmed": "2.0", "taken back": "1.0", "by itself": "1.0"} {
		f := newRAUC(t)
		undecided := func(want bool) {
			t.Helper()
			if got := f.text("state/firmware.trial") != ""; got != want {
				t.Fatalf("%s: got firmware.trial there %v, want %v", end, got, want)
			}
		}
		undecided(false)
		f.boots(func() { undecided(true); f.put("rauc/booted", "B\n") })
		undecided(true)
		switch end {
		case "confirmed":
			if err := f.confirm(); err != nil {
				t.Fatal(err)
			}
		case "by itself":
			f.put("rauc/booted", "A\n")
			f.put("rauc/primary", "A\n")
			if err := f.confirm(); err == nil {
				t.Fatal("got a confirm of the old system, want an error")
			}
			undecided(true)
		default:
			if _, rebooted := f.through(func() error { return f.Attempt.Undo(f.kind) }); !rebooted {
				t.Fatal("got no reboot, want one")
			}
			undecided(true)
			f.put("rauc/booted", "A\n")
		}
		if end != "confirmed" {
			if err := f.Attempt.Undo(f.kind); err != nil {
				t.Fatal(err)
			}
		}
		undecided(false)
		if got := f.text("rauc/" + f.text("rauc/booted")); got != want {
			t.Errorf("%s: got %s, want %s", end, got, want)
		}
	}
	f := newRAUC(t)
	f.put("state/firmware.trial", "lost\n")
	if err := f.kind.Forget(); err != nil || f.text("state/firmware.trial") != "" {
		t.Errorf("got %v, want what a lost job has left removed", err)
	}
}

// TestABoardThatIsAskedTooEarlyIsAskedAgain: after the boot RAUC's service may not be there
// yet. Before it, what cannot be asked is not written.
func TestABoardThatIsAskedTooEarlyIsAskedAgain(t *testing.T) {
	f := newRAUC(t)
	tool := f.text("usr/bin/rauc")
	early := "#!/bin/sh\n[ -e ROOT/ready ] || { : > ROOT/ready; echo 'Error creating proxy: no such service' >&2; exit 1; }\n"
	f.boots(func() {
		f.Stop = make(chan struct{})
		f.Stopping = f.Stop
		f.put("rauc/booted", "B\n")
		f.put("usr/bin/rauc", strings.ReplaceAll(early, "ROOT", f.dir)+strings.TrimPrefix(tool, "#!/bin/sh\n"))
	})
	if err := f.confirm(); err != nil {
		t.Error(err)
	}
	f = newRAUC(t)
	f.put("usr/bin/rauc", "#!/bin/sh\nexit 1\n")
	err, _ := f.through(func() error { return f.Attempt.Run(t.Context(), f.kind) })
	steptest.WantError(t, err, "rauc: exit status 1")
}

// TestABundleThatRAUCDoesNotBeginLeavesTheOtherSlot as it was: it may be the only way
// back that there is. One that was written and not booted is marked bad.
func TestABundleThatRAUCDoesNotBeginLeavesTheOtherSlot(t *testing.T) {
	f := newRAUC(t)
	f.put("rauc/compatible", "other\n")
	err, _ := f.through(func() error { return f.Attempt.Run(t.Context(), f.kind) })
	steptest.WantError(t, err, "writing the image: ")
	if err := f.Attempt.Undo(f.kind); err != nil || f.text("rauc/state-B") != "good" || f.text("rauc/primary") != "A" {
		t.Errorf("got %v, B %s and %s next, want B good and A next", err, f.text("rauc/state-B"), f.text("rauc/primary"))
	}

	f = newRAUC(t)
	if err, rebooted := f.through(func() error { return f.Attempt.Run(t.Context(), f.kind) }); !rebooted {
		t.Fatal(err)
	}
	if err := f.Attempt.Undo(f.kind); err != nil || f.text("rauc/state-B") != "bad" || f.text("rauc/primary") != "A" {
		t.Errorf("got %v, B %s and %s next, want B bad and A next", err, f.text("rauc/state-B"), f.text("rauc/primary"))
	}
}

// TestABoardThatDoesNotChooseTheOldSystemSaysSo before it is rebooted in vain.
func TestABoardThatDoesNotChooseTheOldSystemSaysSo(t *testing.T) {
	f := newRAUC(t)
	f.boots(func() { f.put("rauc/booted", "B\n"); f.put("rauc/deaf", "") })
	err, rebooted := f.through(func() error { return f.Attempt.Undo(f.kind) })
	if steptest.WantError(t, err, "choosing the old system: ", "B boots next"); rebooted {
		t.Error("got a reboot, want none")
	}
}

func newMender(t *testing.T) *flight {
	f := newUBoot(t)
	tool, err := os.ReadFile("../../../updater/testdata/bin/mender")
	if err := errors.Join(err, os.Remove(filepath.Join(f.dir, "tmp/sockinstctrl"))); err != nil {
		t.Fatal(err)
	}
	f.put("usr/bin/mender", string(tool))
	f.put("artifact", "1.0\n")
	f.put("var/lib/mender/device_type", "device_type=stand-in\n")
	f.mount("a1")
	f.put("new.img", "artifact 2.0\n")
	f.Attempt = steptest.NewAttempt(t, `{"image":%q,"sha256":%q,"version":"2.0"}`, filepath.Join(f.dir, "new.img"), steptest.Digest([]byte("artifact 2.0\n")))
	return f
}

// mount is what the kernel says of the root file system's device.
func (f *flight) mount(device string) {
	f.put("proc/self/mountinfo", "22 1 179:2 / / rw - ext4 /dev/"+device+" rw\n")
}

// TestMendersBootLoaderMustBootTheRunningPartition: that commit ends well is no proof.
func TestMendersBootLoaderMustBootTheRunningPartition(t *testing.T) {
	for env, want := range map[string]string{
		"mender_boot_part=2\nupgrade_available=0\n": "",
		"mender_boot_part=1\nupgrade_available=0\n": "partition 1 boots next, while /dev/a2",
		"mender_boot_part=2\nupgrade_available=1\n": "mender commit has ended well, and U-Boot has a system on trial",
	} {
		f := newMender(t)
		f.boots(func() {
			f.mount("a2")
			f.put("etc/mender/artifact_info", "artifact_name=2.0\n")
			f.setenv(env)
		})
		if err := f.confirm(); want == "" && err != nil {
			t.Error(err)
		} else if want != "" {
			steptest.WantError(t, err, want)
		}
	}
}

// TestMendersPartitionIsKnownByItsNumberAlone: of a volume of UBI and of a partition that
// is mounted by an id the number is not in the name, or written otherwise.
func TestMendersPartitionIsKnownByItsNumberAlone(t *testing.T) {
	for root, want := range map[string]string{
		"ubi0:rootfsb":                     "",
		"ubi0_1":                           "",
		"PARTUUID=6c586e13-02":             "",
		"PARTUUID=6c586e13-01":             "partition 2 boots next, while PARTUUID=6c586e13-01",
		"PARTUUID=0fc63daf-8483-4772-8e79": "",
		"LABEL=rootfs2":                    "",
	} {
		f := newMender(t)
		f.boots(func() {
			_ = os.Remove(filepath.Join(f.dir, "proc/self/mountinfo"))
			f.put("proc/cmdline", "root="+root)
			f.put("etc/mender/artifact_info", "artifact_name=2.0\n")
			f.setenv("mender_boot_part=2\nupgrade_available=0\n")
		})
		if err := f.confirm(); want == "" && err != nil {
			t.Errorf("%s: %v", root, err)
		} else if want != "" {
			steptest.WantError(t, err, want)
		}
	}
}

// TestMenderThatHasNothingToCommitHasNotCommitted, at the first time: at the second
// one the first may have been cut behind its work.
func TestMenderThatHasNothingToCommitHasNotCommitted(t *testing.T) {
	f := newMender(t)
	booted := func() {
		f.mount("a2")
		f.put("etc/mender/artifact_info", "artifact_name=2.0\n")
	}
	f.boots(func() { booted(); _ = os.Remove(filepath.Join(f.dir, "pending")) })
	steptest.WantError(t, f.confirm(), "there is nothing to commit")

	f = newMender(t)
	f.boots(booted)
	for range 2 {
		if err := f.confirm(); err != nil || f.text("artifact") != "2.0" {
			t.Errorf("got %v and %s, want it committed", err, f.text("artifact"))
		}
	}
}

// TestASystemThatIsNotFinalIsNotWrittenOver by another job: the other slot holds the
// only one that has proven itself. What the step has not begun it does not take back.
func TestASystemThatIsNotFinalIsNotWrittenOver(t *testing.T) {
	for name, tt := range map[string]struct {
		board func(t *testing.T) *flight
		trial func(f *flight)
		left  func(f *flight) string
	}{
		"script": {func(t *testing.T) *flight { return newFlight(t, "2.0", "") },
			func(f *flight) { f.put("tries", "1\n") },
			func(f *flight) string { return f.text("slots/B") + f.text("tries") + f.text("next") }},
		"rauc": {newRAUC, func(f *flight) { f.put("rauc/state-A", "bad\n") },
			func(f *flight) string { return f.text("rauc/B") + f.text("rauc/primary") + f.text("rauc/state-B") }},
		"mender 4": {newMender, func(f *flight) { f.put("pending", "theirs\n"); f.put("v4", "") },
			func(f *flight) string { return f.text("pending") }},
		"mender, by U-Boot": {newMender, func(f *flight) { f.put("pending", "theirs\n"); f.setenv("upgrade_available=1\n") },
			func(f *flight) string { return f.text("pending") + f.text("env") }},
		"swupdate": {newUBoot, func(f *flight) { f.setenv("upgrade_available=1\nbootcount=1\n") },
			func(f *flight) string { return f.text("env") }},
	} {
		t.Run(name, func(t *testing.T) {
			f := tt.board(t)
			tt.trial(f)
			before := tt.left(f)
			err, _ := f.through(func() error { return f.Attempt.Run(t.Context(), f.kind) })
			steptest.WantError(t, err, "make that final or take it back first; force: true")
			if err := f.Attempt.Undo(f.kind); err != nil {
				t.Error(err)
			}
			if got := strings.Join(f.kind.Overview(t.Context()), "\n"); name != "mender 4" && !strings.Contains(got, "firmware: another job is refused without force: ") {
				t.Errorf("got %s, want it said beforehand", got)
			}
			if got := tt.left(f); got != before {
				t.Errorf("got %s, want %s as it was", got, before)
			}
			f.Attempt = steptest.NewAttempt(t, `%s,"force":true}`, bytes.TrimSuffix(f.With, []byte("}")))
			if err, rebooted := f.through(func() error { return f.Attempt.Run(t.Context(), f.kind) }); !rebooted {
				t.Errorf("forced: got %v and no reboot", err)
			}
		})
	}
}
