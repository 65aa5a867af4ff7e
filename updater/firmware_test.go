package updater

import (
	"bytes"
	"context"
	"errors"
	"fmt"
	"os"
	"os/exec"
	"path/filepath"
	"slices"
	"strings"
	"testing"
)

// plant makes a board whose files are these, and whose programs of that name
// are the stand-ins in testdata/bin.
func plant(t *testing.T, files map[string]string, programs ...string) *Board {
	t.Helper()
	b := &Board{Root: t.TempDir(), Run: run}
	for _, p := range programs {
		text, err := os.ReadFile(filepath.Join("testdata/bin", filepath.Base(p)))
		if err != nil {
			t.Fatal(err)
		}
		files[p] = string(text)
	}
	for path, text := range files {
		put(t, b, path, text)
	}
	return b
}

func put(t *testing.T, b *Board, path, text string) {
	t.Helper()
	path = filepath.Join(b.Root, path)
	if err := errors.Join(os.MkdirAll(filepath.Dir(path), 0o755), os.WriteFile(path, []byte(text), 0o755)); err != nil {
		t.Fatal(err)
	}
}

// run runs a program as the kind does, without its care for what it starts.
func run(ctx context.Context, c Call) (a Answer, err error) {
	cmd := exec.CommandContext(ctx, c.Argv[0], c.Argv[1:]...)
	for name, value := range c.Env {
		cmd.Env = append(cmd.Env, name+"="+value)
	}
	var out, said bytes.Buffer
	cmd.Stdin, cmd.Stdout, cmd.Stderr = c.Stdin, &out, &said
	err = cmd.Run()
	if exit := new(exec.ExitError); errors.As(err, &exit) {
		a.Code, err = exit.ExitCode(), nil
	}
	if c.Line != nil {
		for line := range strings.FieldsFuncSeq(out.String()+said.String(), func(r rune) bool { return r == '\n' || r == '\r' }) {
			c.Line(line)
		}
	}
	a.Out, a.Said = out.String(), lastLine(said.String())
	return a, err
}

func TestABoardIsKnownByWhatItHas(t *testing.T) {
	for _, tt := range []struct {
		want  string
		files map[string]string
	}{
		{"", map[string]string{"/usr/bin/rauc": ""}},
		{"rauc", map[string]string{"/usr/bin/rauc": "", "/etc/rauc/system.conf": "", "/sbin/sysupgrade": ""}},
		{"", map[string]string{"/usr/bin/swupdate-client": ""}},
		{"swupdate", map[string]string{"/usr/bin/swupdate-client": "", "/tmp/sockinstctrl": ""}},
		{"", map[string]string{"/usr/bin/mender": ""}},
		{"mender", map[string]string{"/usr/bin/mender-update": "", "/var/lib/mender/device_type": "device_type=pi4\n"}},
		{"sysupgrade", map[string]string{"/sbin/sysupgrade": ""}},
		{"script", map[string]string{"/sbin/sysupgrade": "", "/etc/ratchet/firmware": ""}},
	} {
		b := plant(t, tt.files)
		b.Script = filepath.Join(b.Root, "/etc/ratchet/firmware")
		if got := b.Found(); got != tt.want {
			t.Errorf("%v: got %q, want %q", tt.files, got, tt.want)
		}
	}
}

func TestABackendThatIsNotThereSaysWhatItNeeds(t *testing.T) {
	b := plant(t, map[string]string{})
	for name, want := range map[string]string{
		"":      "nothing to write firmware with",
		"rauc":  "this board has no rauc: it needs rauc and its system.conf",
		"fwupd": `"fwupd": want one of script, rauc, swupdate, mender, sysupgrade`,
	} {
		if _, err := b.Backend(t.Context(), name); err == nil || !strings.Contains(err.Error(), want) {
			t.Errorf("%q: got %v, want %q", name, err, want)
		}
	}
}

func TestTheSystemHasItsVersionItsBoardAndItsSlot(t *testing.T) {
	b := plant(t, map[string]string{
		"/etc/openwrt_release":              "DISTRIB_ID='OpenWrt'\nDISTRIB_RELEASE='25.12.5'\nDISTRIB_REVISION='r32000-abc'\n",
		"/etc/os-release":                   "NAME=\"OpenWrt\"\nVERSION_ID=\"25.12.5\"\nBUILD_ID=\"r32000-abc\"\n",
		"/tmp/sysinfo/board_name":           "glinet,gl-mt300n-v2\n",
		"/proc/device-tree/compatible":      "glinet,gl-mt300n-v2\x00mediatek,mt7628an-soc\x00",
		"/proc/self/mountinfo":              "22 1 179:2 / / rw - ext4 /dev/root rw\n23 22 0:21 / /proc rw - proc proc rw\n",
		"/proc/cmdline":                     "console=ttyS0 root=/dev/mmcblk0p3 rootwait",
		"/sys/class/dmi/id/product_name":    "",
		"/etc/systemd/system/unrelated.txt": "",
	})
	got := fmt.Sprint(b.system())
	if want := "{[25.12.5 r32000-abc] [glinet,gl-mt300n-v2 mediatek,mt7628an-soc] /dev/mmcblk0p3}"; got != want {
		t.Errorf("got %s, want %s", got, want)
	}
}

// TestASlotIsKnownByWhatStaysAsItIs: which of two cards is mmcblk0 may be another one at
// each boot. The id of a file system is no name for a slot: both may hold the same image.
func TestASlotIsKnownByWhatStaysAsItIs(t *testing.T) {
	for root, want := range map[string]string{
		"PARTUUID=6c586e13-02": "PARTUUID=6c586e13-02",
		"PARTLABEL=system-a":   "PARTLABEL=system-a",
		"UUID=2b1d-33":         "/dev/mmcblk1p2 UUID=2b1d-33",
		"/dev/mmcblk1p2":       "/dev/mmcblk1p2",
	} {
		b := plant(t, map[string]string{"/proc/cmdline": "quiet root=" + root + " rootwait", "/proc/self/mountinfo": "22 1 179:2 / / rw - ext4 /dev/mmcblk1p2 rw\n"})
		if got := b.system().Slot; got != want {
			t.Errorf("%s: got %s, want %s", root, got, want)
		}
	}
}

// TestTheBootLoadersEnvironmentIsReadBack: of the two tools each says that all
// is well when it was given a script of the other's form.
func TestTheBootLoadersEnvironmentIsReadBack(t *testing.T) {
	for _, style := range []string{"", "# tools\n"} {
		b := plant(t, map[string]string{"/env": "bootcount=2\nupgrade_available=1\nustate=1\nother=x y\n"}, "/usr/bin/fw_printenv", "/usr/bin/fw_setenv")
		conf := filepath.Join(b.Root, "fw_env.config")
		if err := os.WriteFile(conf, []byte(filepath.Join(b.Root, "env")+" 0x0 0x2000\n"+style), 0o644); err != nil {
			t.Fatal(err)
		}
		b.Run = func(ctx context.Context, c Call) (Answer, error) {
			c.Argv = slices.Insert(slices.Clone(c.Argv), 1, "-c", conf)
			return run(ctx, c)
		}
		if err := (uboot{b}).confirm(t.Context()); err != nil {
			t.Errorf("%q: %v", style, err)
		}
		text, _ := os.ReadFile(filepath.Join(b.Root, "env"))
		lines := strings.Fields(strings.ReplaceAll(string(text), "x y", "x+y"))
		slices.Sort(lines)
		if got, want := strings.Join(lines, " "), "bootcount=0 other=x+y upgrade_available=0 ustate=0"; got != want {
			t.Errorf("%q: got %s, want %s", style, got, want)
		}
		if err := (uboot{b}).giveUp(t.Context()); err == nil || !strings.Contains(err.Error(), "no bootlimit or no altbootcmd") {
			t.Errorf("got %v, want that it cannot go back", err)
		}
		b.Run = func(ctx context.Context, c Call) (Answer, error) { return run(ctx, c) } // without its configuration
		if err := (uboot{b}).confirm(t.Context()); err == nil {
			t.Error("got no error without fw_env.config, want one")
		}
	}
}

func TestMenderIsDrivenStandalone(t *testing.T) {
	b := plant(t, map[string]string{"/artifact": "release-1\n", "/var/lib/mender/device_type": "device_type=pi4\n",
		"/image": "artifact release-2\n"}, "/usr/bin/mender")
	if err := os.WriteFile(filepath.Join(b.Root, "v4"), nil, 0o644); err != nil {
		t.Fatal(err)
	}
	m, err := b.Backend(t.Context(), "")
	if err != nil {
		t.Fatal(err)
	}
	now, err := m.State(t.Context())
	if err != nil || now.Version() != "release-1" || now.Boards[0] != "pi4" {
		t.Errorf("got %v, %v, want release-1 on pi4", now, err)
	}
	var seen []float64
	for i := range 2 { // the second one finds the first one's
		if err := m.Install(t.Context(), Image{Path: filepath.Join(b.Root, "image"), Over: i > 0}, func(f float64) { seen = append(seen, f) }); err != nil {
			t.Error(err)
		}
	}
	if got, want := fmt.Sprint(seen), "[0.5 1 0.5 1]"; got != want {
		t.Errorf("got progress %s, want %s", got, want)
	}
	for range 2 {
		if err := m.Rollback(t.Context(), ""); err != nil || b.has("/pending") {
			t.Errorf("got %v, want nothing in progress", err)
		}
	}
	if err := m.Install(t.Context(), Image{Path: filepath.Join(b.Root, "image")}, func(float64) {}); err != nil {
		t.Error(err)
	}
	for range 2 {
		if err := m.Confirm(t.Context(), true); err != nil {
			t.Error(err)
		}
	}
	if now, _ := m.State(t.Context()); now.Version() != "release-2" {
		t.Errorf("got %v, want release-2", now)
	}
	if err := m.Install(t.Context(), Image{Path: "/dev/null"}, func(float64) {}); err == nil || !strings.Contains(err.Error(), "cannot read the artifact") {
		t.Errorf("got %v, want why", err)
	}
}

// TestWhatDecidesBeforeTheTrialIsNamed: it has to stay on, for U-Boot's script and
// barebox count every boot, and leave a system that nothing confirms.
func TestWhatDecidesBeforeTheTrialIsNamed(t *testing.T) {
	const unit, heeds = "/etc/systemd/system/rauc-mark-good.service", "ConditionPathExists=!/state/firmware.trial"
	wants := map[string]string{"/usr/lib/systemd/system/multi-user.target.wants/rauc-mark-good.service": ""}
	b := plant(t, wants)
	b.Dir = "/state"
	advice := func(back *Backend) string { return strings.Join(b.Deciders(back), "\n") }
	for _, tt := range []struct {
		path, text, want string
	}{
		{"", "", "add " + heeds},
		{unit + ".d/trial.conf", "[Unit]\n# " + heeds + "2\n", "add " + heeds},
		{unit + ".d/trial.conf", "[Unit]\n" + heeds + "\n", ""},
		{"/etc/rc.d/S99bootcount", "boot() { mtd resetbc; }\n", "let it begin with [ ! -e /state/firmware.trial ] || exit 0"},
		{"/etc/rc.d/S99bootcount", "[ ! -e /state/firmware.trial ] || exit 0\n", ""},
	} {
		if tt.path != "" {
			put(t, b, tt.path, tt.text)
		}
		got := advice(&Backend{Name: "rauc", Slots: true})
		if (got == "") != (tt.want == "") || !strings.Contains(got, tt.want) || strings.Contains(got, "disable") {
			t.Errorf("%s: got %q, want %q", tt.path, got, tt.want)
		}
		if got := advice(&Backend{Name: "rauc"}); got != "" {
			t.Errorf("got %q on a board without a way back, want nothing", got)
		}
	}
	if err := os.Symlink("/dev/null", filepath.Join(b.Root, unit)); err != nil {
		t.Fatal(err)
	}
	if got := advice(&Backend{Name: "rauc", Slots: true}); !strings.Contains(got, "unmask it, and add "+heeds) {
		t.Errorf("got %q, want that a masked unit confirms nothing at an ordinary boot either", got)
	}
}

func TestAScriptMustSayWhatItIs(t *testing.T) {
	for says, want := range map[string]string{
		`echo hello`:                         "want one JSON object",
		`echo '{"version":"1","slots":2}'`:   "so want slot too",
		`echo no environment >&2; exit 3`:    "exit status 3: no environment",
		`echo '{"version":"1","slot":"A"}'`:  "",
		`printf '{"slots":2,"slot":"main"}'`: "",
	} {
		b := plant(t, map[string]string{"/firmware": "#!/bin/sh\n" + says + "\n"})
		b.Script = filepath.Join(b.Root, "firmware")
		_, err := b.Backend(t.Context(), "script")
		if want == "" && err != nil || want != "" && (err == nil || !strings.Contains(err.Error(), want)) {
			t.Errorf("%s: got %v, want %q", says, err, want)
		}
	}
}
