package main

import (
	"bytes"
	"errors"
	"fmt"
	"os"
	"path/filepath"
	"strings"
	"testing"
)

// raucBoard is a board with RAUC: its real service, two loop devices as slots,
// and a boot loader that is a few files.
type raucBoard struct {
	t       *testing.T
	dir     string
	devices map[string]string // by slot
	runs    string            // the slot
	stop    func()
}

// bootchooser is the boot loader as RAUC's custom backend sees it.
const bootchooser = `#!/bin/sh
cd "${0%/*}"
case $1 in
get-primary) cat primary ;;
set-primary) echo "$2" > primary; echo good > "state-$2" ;;
get-state) cat "state-$2" 2>/dev/null || echo good ;;
set-state) [ -e deaf ] || echo "$3" > "state-$2" ;;
esac
`

func newRAUC(t *testing.T, dir, certificate string) *raucBoard {
	b := &raucBoard{t: t, dir: dir, runs: "A", stop: func() {}}
	b.devices = map[string]string{
		"A": loop(t, filepath.Join(dir, "a"), firmwareImage("1.0", "good", 1<<20)),
		"B": loop(t, filepath.Join(dir, "b"), make([]byte, 1<<20)),
	}
	conf := fmt.Sprintf("[system]\ncompatible=test-board\nbootloader=custom\nstatusfile=%s/status\n"+
		"[handlers]\nbootloader-custom-backend=%s/chooser\n[keyring]\npath=%s\n", dir, dir, certificate)
	for i, slot := range []string{"A", "B"} {
		conf += fmt.Sprintf("[slot.rootfs.%d]\ndevice=%s\ntype=raw\nbootname=%s\n", i, b.devices[slot], slot)
	}
	for path, text := range map[string]string{"/run/rauc/system.conf": conf, dir + "/chooser": bootchooser, dir + "/primary": "A\n"} {
		if err := os.WriteFile(path, []byte(text), 0o755); err != nil {
			t.Fatal(err)
		}
	}
	t.Cleanup(func() { b.stop() })
	return b
}

func (b *raucBoard) file(name string) string {
	text, _ := os.ReadFile(filepath.Join(b.dir, name)) // none: empty
	return strings.TrimSpace(string(text))
}

// boot is the boot loader: a slot that is bad or does not come up is left for
// the other one. Then RAUC's service starts, told which slot runs.
func (b *raucBoard) boot() error {
	b.stop()
	for range 2 {
		b.runs = b.file("primary")
		content, err := os.ReadFile(b.devices[b.runs])
		if err != nil {
			return err
		}
		is := strings.Split(string(content[:50]), "\n")[1]
		if b.file("state-"+b.runs) != "bad" && is != "dead" {
			b.stop = background(b.t, filepath.Join(b.dir, "rauc.log"), "rauc status",
				"rauc", "-c", "/run/rauc/system.conf", "--override-boot-slot="+b.runs, "service")
			return os.WriteFile(filepath.Join(b.dir, "is"), []byte(is), 0o644)
		}
		other := map[string]string{"A": "B", "B": "A"}[b.runs]
		if err := os.WriteFile(filepath.Join(b.dir, "primary"), []byte(other+"\n"), 0o644); err != nil {
			return err
		}
	}
	return errBricked
}

// spoil is a boot loader that does not do what RAUC asks of it.
func (b *raucBoard) spoil(how string) error {
	switch how {
	case "the boot loader keeps no mark": // nor one that it is bad: primary alone takes it back
		return errors.Join(os.WriteFile(filepath.Join(b.dir, "deaf"), nil, 0o644), os.WriteFile(filepath.Join(b.dir, "state-B"), []byte("bad\n"), 0o644))
	case "another slot boots next":
		return os.WriteFile(filepath.Join(b.dir, "primary"), []byte("A\n"), 0o644)
	}
	return nil
}

const withoutOrder = "U-Boot without BOOT_ORDER"

// useUBoot lets RAUC ask U-Boot's environment, which has all that it wants but the order
// of the slots. A mark-good there ends well, and both slots stay bad.
func (b *raucBoard) useUBoot() {
	b.t.Helper()
	shell(b.t, b.dir, `sed -i 's/^bootloader=.*/bootloader=uboot/; /^\[handlers\]/d; /^bootloader-custom/d' /run/rauc/system.conf
printf 'BOOT_A_LEFT=3\nBOOT_B_LEFT=3\n' > set
for f in env env2; do head -c 8192 /dev/zero > $f; printf '%s 0x0 0x2000\n' "$PWD/$f" >> /etc/fw_env.config; done
fw_setenv -f set -s set`)
	b.t.Cleanup(func() { shell(b.t, "/", "rm /etc/fw_env.config") })
}

// bundle makes one with the key in dir.
func bundle(t *testing.T, dir, key, compatible, is string) []byte {
	t.Helper()
	content := filepath.Join(dir, "content")
	if err := os.MkdirAll(content, 0o755); err != nil {
		t.Fatal(err)
	}
	manifest := fmt.Sprintf("[update]\ncompatible=%s\nversion=2.0\n[image.rootfs]\nfilename=rootfs.img\n", compatible)
	for name, text := range map[string][]byte{"rootfs.img": firmwareImage("2.0", is, 1<<20), "manifest.raucm": []byte(manifest)} {
		if err := os.WriteFile(filepath.Join(content, name), text, 0o644); err != nil {
			t.Fatal(err)
		}
	}
	shell(t, dir, `rm -f out.raucb; rauc bundle --cert "$1.crt" --key "$1.key" content out.raucb 2>&1`, key)
	made, err := os.ReadFile(filepath.Join(dir, "out.raucb"))
	if err != nil {
		t.Fatal(err)
	}
	return made
}

const makeKey = `openssl req -x509 -newkey rsa:2048 -nodes -keyout "$1.key" -out "$1.crt" -subj "/CN=$1" -days 3650 $2 $3 2>/dev/null`

// TestE2ERAUC gives a device with the real RAUC bundles good and bad.
func TestE2ERAUC(t *testing.T) {
	if !inOwnMounts(t, "rauc", "dbus-daemon", "mksquashfs", "fw_setenv") {
		return
	}
	if !canFakeBoot() {
		t.Skip("this system does not let us fake a boot id")
	}
	if _, err := os.Stat("/usr/share/dbus-1/system.d/de.pengutronix.rauc.conf"); err != nil {
		t.Skip("rauc-service is not installed: make deps")
	}
	work := t.TempDir()
	t.Cleanup(background(t, filepath.Join(work, "dbus.log"), "test -S /run/dbus/system_bus_socket",
		"dbus-daemon", "--system", "--nofork", "--nopidfile", "--address=unix:path=/run/dbus/system_bus_socket"))
	for _, key := range []string{"ours", "theirs"} {
		shell(t, work, makeKey, key)
	}
	good := bundle(t, work, "ours", "test-board", "good")
	torn := bytes.Clone(good)
	copy(torn[len(torn)/2:], make([]byte, 4096))
	t.Logf("%-28s %-8s %s", "bundle", "runs", "the job")
	for i, image := range []struct {
		name string
		file []byte
		want string
	}{
		{"good", good, "succeeded"},
		{"does not boot", bundle(t, work, "ours", "test-board", "dead"), "failed: after the boot"},
		{"boots, fails its check", bundle(t, work, "ours", "test-board", "deaf"), "failed: not confirmed within 6s"},
		{"for another board", bundle(t, work, "ours", "other-board", "good"), "failed: writing the image: rauc"},
		{"signed by another key", bundle(t, work, "theirs", "test-board", "good"), "failed: the board does not take the image"},
		{"torn in the middle", torn, "failed: "},
		{"the boot loader keeps no mark", good, "failed: making the new system final: rauc has marked slot B good, and its boot status is bad"},
		{withoutOrder, good, "failed: RAUC has the running slot A as bad"},
		{"another slot boots next", good, "failed: making the new system final: the board says that all is well, and A boots next, while B runs"},
	} {
		t.Run(image.name, func(t *testing.T) {
			f := &flashed{victim: newVictim(t, embedded), job: fmt.Sprintf("rauc-%d", i)}
			b := newRAUC(t, f.dir, filepath.Join(work, "ours.crt"))
			f.boot = func() error {
				err := b.boot()
				if err == nil && b.runs == "B" { // and not again, when it is taken back
					err = b.spoil(image.name)
				}
				return err
			}
			if image.name == withoutOrder {
				b.useUBoot()
			}
			if err := b.boot(); err != nil {
				t.Fatal(err)
			}
			got := f.try(image.file, "test-board")
			t.Logf("%-28s %s in %s   %s", image.name, version(t, b.devices[b.runs]), b.runs, got)
			want := map[bool]string{true: "2.0 B good", false: "1.0 A good"}[image.want == "succeeded"]
			if now := version(t, b.devices[b.runs]) + " " + b.runs + " " + b.file("is"); !strings.HasPrefix(got, image.want) || now != want {
				t.Errorf("got %q and %s, want %q and %s\n%s", got, now, image.want, want, b.file("rauc.log"))
			}
		})
	}
}

// version is what the system in a slot says of itself.
func version(t *testing.T, device string) string {
	t.Helper()
	content, err := os.ReadFile(device)
	if err != nil {
		t.Fatal(err)
	}
	first, _, _ := strings.Cut(string(content[:50]), "\n")
	return strings.TrimPrefix(first, "version ")
}
