package main

import (
	"fmt"
	"os"
	"path/filepath"
	"strings"
	"testing"

	"github.com/ratchetd/ratchet/executor"
)

// newSWUpdate is a board with the real service of SWUpdate, with the real
// environment of U-Boot, and with loop devices as slots.
func newSWUpdate(t *testing.T, dir, certificate string) (boot func() error, b *board) {
	t.Helper()
	b, err := newBoard(filepath.Join(dir, "board"), filepath.Join(dir, "unused"), "/usr/bin", 1<<20)
	if err != nil {
		t.Fatal(err)
	}
	for _, slot := range []string{"a", "b"} {
		content, err := os.ReadFile(b.path(slot))
		if err != nil {
			t.Fatal(err)
		}
		device := loop(t, b.path(slot+".img"), content)
		shell(t, b.dir, `ln -sf "$1" "$2"`, device, slot)
	}
	shell(t, "/", `cp "$1" /etc/fw_env.config; echo "test-board 1.0" > /etc/hwrevision`, b.path("fw_env.config"))
	if err := b.set(map[string]string{"altbootcmd": "run other_slot"}); err != nil {
		t.Fatal(err)
	}
	stop := func() {}
	t.Cleanup(func() { stop() })
	return func() error {
		stop()
		if err := b.boot(); err != nil {
			return err
		}
		slot, other := b.running(), map[string]string{"A": "b", "B": "a"}[b.running()]
		shell(t, b.dir, `echo "root=$(readlink "$1")" > /run/cmdline; echo "system $(cat version)" > /etc/sw-versions; cp is ../is`, strings.ToLower(slot))
		_ = os.Remove("/tmp/sockinstctrl") // of one that was killed
		stop = background(t, filepath.Join(dir, "swupdate.log"), "test -S /tmp/sockinstctrl",
			"env", "-u", "TMPDIR", "swupdate", "-v", "-B", "uboot", "-k", certificate, "-e", "stable,slot-"+other)
		return nil
	}, b
}

// running is the slot that U-Boot has told the kernel.
func (b *board) running() string {
	text, _ := os.ReadFile(b.path("cmdline")) // none: none
	_, slot, _ := strings.Cut(string(text), "ratchet.slot=")
	return slot
}

// swu makes an image for the slots of the board, signed with the key in dir.
func swu(t *testing.T, dir, key, revision, is string, b *board) []byte {
	t.Helper()
	image := firmwareImage("2.0", is, 1<<20)
	text := fmt.Sprintf("software = { version = \"2.0\"; hardware-compatibility: [ %q ]; stable = {\n", revision)
	for _, slot := range []string{"a", "b"} {
		text += fmt.Sprintf("slot-%s: { images: ({ filename = \"rootfs.img\"; device = %q; sha256 = %q; }); bootenv: ("+
			"{ name = \"boot_slot\"; value = %q; }, { name = \"upgrade_available\"; value = \"1\"; }, { name = \"bootcount\"; value = \"0\"; }); };\n",
			slot, shell(t, b.dir, `readlink "$1"`, slot), executor.Digest(image), strings.ToUpper(slot))
	}
	for name, content := range map[string][]byte{"rootfs.img": image, "sw-description": []byte(text + "}; }\n")} {
		if err := os.WriteFile(filepath.Join(dir, name), content, 0o644); err != nil {
			t.Fatal(err)
		}
	}
	shell(t, dir, `openssl cms -sign -in sw-description -out sw-description.sig -signer "$1.crt" -inkey "$1.key" -outform DER -nosmimecap -binary
printf 'sw-description\nsw-description.sig\nrootfs.img\n' | cpio -o -H crc > out.swu 2>/dev/null`, key)
	made, err := os.ReadFile(filepath.Join(dir, "out.swu"))
	if err != nil {
		t.Fatal(err)
	}
	return made
}

// TestE2ESWUpdate gives a device with the real SWUpdate images good and bad.
func TestE2ESWUpdate(t *testing.T) {
	if !inOwnMounts(t, "swupdate", "swupdate-client", "fw_setenv", "cpio") {
		return
	}
	if !canFakeBoot() {
		t.Skip("this system does not let us fake a boot id")
	}
	work := t.TempDir()
	for _, key := range []string{"ours", "theirs"} {
		shell(t, work, makeKey, key, "-addext", "extendedKeyUsage=emailProtection")
	}
	t.Logf("%-28s %-8s %s", "image", "runs", "the job")
	for i, c := range []struct{ name, key, revision, is, want string }{
		{"good", "ours", "1.0", "good", "succeeded"},
		{"does not boot", "ours", "1.0", "dead", "failed: after the boot"},
		{"boots, fails its check", "ours", "1.0", "deaf", "failed: not confirmed within 6s"},
		{"for another board", "ours", "7.0", "good", "failed: the board does not take the image"},
		{"signed by another key", "theirs", "1.0", "good", "failed: the board does not take the image"},
		{"torn in the middle", "ours", "1.0", "good", "failed: the board does not take the image"},
		{"wrong size of environment", "ours", "1.0", "good", "failed: fw_printenv: the boot loader's environment was not read"},
	} {
		t.Run(c.name, func(t *testing.T) {
			f := &flashed{victim: newVictim(t, embedded), job: fmt.Sprintf("swu-%d", i)}
			boot, b := newSWUpdate(t, f.dir, filepath.Join(work, "ours.crt"))
			f.boot, f.board = boot, b
			if err := boot(); err != nil {
				t.Fatal(err)
			}
			file := swu(t, work, c.key, c.revision, c.is, b)
			if c.name == "torn in the middle" {
				copy(file[len(file)/2:], make([]byte, 4096))
			}
			if c.name == "wrong size of environment" {
				shell(t, b.dir, `sed -i s/0x2000/0x1000/ /etc/fw_env.config; fw_printenv -c fw_env.config > /etc/u-boot-initial-env; cat env env2 > was`)
				defer shell(t, b.dir, `rm /etc/u-boot-initial-env; cat env env2 | cmp - was`)
			}
			got := f.try(file, "test-board")
			slot := b.running()
			runs, is := b.slot(slot)
			t.Logf("%-28s %s in %s   %s", c.name, runs, slot, got)
			want := map[bool]string{true: "2.0 B good", false: "1.0 A good"}[c.want == "succeeded"]
			env, _ := b.env()
			if now := runs + " " + slot + " " + is; !strings.HasPrefix(got, c.want) || now != want || env["upgrade_available"] != "0" {
				log, _ := os.ReadFile(filepath.Join(f.dir, "swupdate.log"))
				t.Errorf("got %q and %s, want %q and %s; %v\n%s", got, now, c.want, want, env, log)
			}
		})
	}
}
