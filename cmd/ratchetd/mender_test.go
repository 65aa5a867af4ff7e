package main

import (
	"bytes"
	"fmt"
	"os"
	"path/filepath"
	"strings"
	"testing"
)

// menderModule writes a slot that is a file, as Mender's own module for root
// file systems writes a partition.
const menderModule = `#!/bin/sh
cd "$(cat /usr/share/mender/board)"
other=B; [ "$(cat runs)" = A ] || other=A
case $1 in
SupportsRollback) echo Yes ;;
NeedsArtifactReboot) echo Yes ;;
ArtifactInstall) cat "$2/files/image" > $other; echo $other > next; cat runs > back ;;
ArtifactRollback) cat back > next ;;
esac
`

// artifact is one of Mender's, version 3, for a board.
func artifact(t *testing.T, board string, image []byte) []byte {
	t.Helper()
	dir := t.TempDir()
	const make = `mkdir -p headers/0000 data
printf '{"format":"mender","version":3}' > version
printf '{"payloads":[{"type":"slot"}],"artifact_provides":{"artifact_name":"2.0"},"artifact_depends":{"device_type":["%s"]}}' "$1" > header-info
printf '{"type":"slot"}' > headers/0000/type-info
tar -czf header.tar.gz header-info headers/0000/type-info
tar -czf data/0000.tar.gz image
mv image data/image
for f in data/image header.tar.gz version; do
	echo "$(sha256sum < $f | cut -d' ' -f1)  $(echo $f | sed 's|data/|data/0000/|')"
done > manifest
tar -cf out.mender version manifest header.tar.gz data/0000.tar.gz`
	if err := os.WriteFile(filepath.Join(dir, "image"), image, 0o644); err != nil {
		t.Fatal(err)
	}
	shell(t, dir, make, board)
	made, err := os.ReadFile(filepath.Join(dir, "out.mender"))
	if err != nil {
		t.Fatal(err)
	}
	return made
}

type menderBoard struct {
	t   *testing.T
	dir string
}

func (b menderBoard) file(name string) string {
	text, _ := os.ReadFile(filepath.Join(b.dir, name)) // none: empty
	return strings.TrimSpace(string(text))
}

// newMender is a board that has committed 1.0, in slot A.
func newMender(t *testing.T, dir string) menderBoard {
	t.Helper()
	if err := os.WriteFile(filepath.Join(dir, "A"), firmwareImage("1.0", "good", 1<<20), 0o644); err != nil {
		t.Fatal(err)
	}
	shell(t, dir, `rm -rf /var/lib/mender; mkdir -p /var/lib/mender /etc/mender /usr/share/mender/modules/v3
echo device_type=test-board > /var/lib/mender/device_type
echo '{}' > /etc/mender/mender.conf
printf %s "$1" > /usr/share/mender/modules/v3/slot
chmod +x /usr/share/mender/modules/v3/slot
pwd > /usr/share/mender/board
echo A > next; echo A > back`, menderModule)
	return menderBoard{t, dir}
}

// boot is the boot loader: a slot that does not come up is left for the other one.
func (b menderBoard) boot() error {
	for range 2 {
		slot := b.file("next")
		lines := strings.Split(b.file(slot), "\n")
		if lines[1] != "dead" {
			shell(b.t, b.dir, `echo "$1" > runs
echo "quiet root=/dev/slot$1" > /run/cmdline
echo "artifact_name=$2" > /etc/mender/artifact_info
echo "$3" > is`, slot, strings.TrimPrefix(lines[0], "version "), lines[1])
			return nil
		}
		shell(b.t, b.dir, "cat back > next")
	}
	return errBricked
}

// TestE2EMender gives a device with Mender's real client, standalone, artifacts
// good and bad.
func TestE2EMender(t *testing.T) {
	if !inOwnMounts(t, "mender", "fw_setenv") {
		return
	}
	if !canFakeBoot() {
		t.Skip("this system does not let us fake a boot id")
	}
	shell(t, "/", "mount -t tmpfs tmpfs /var/lib; mount -t tmpfs tmpfs /usr/share/mender")
	t.Logf("%-28s %-8s %s", "artifact", "runs", "the job")
	of := func(is string) []byte { return artifact(t, "test-board", firmwareImage("2.0", is, 1<<20)) }
	good := of("good")
	for i, image := range []struct {
		name string
		file []byte
		want string
	}{
		{"good", good, "succeeded"},
		{"does not boot", of("dead"), "failed: after the boot"},
		{"boots, fails its check", of("deaf"), "failed: not confirmed within 6s"},
		{"for another board", artifact(t, "other-board", firmwareImage("2.0", "good", 1<<20)), "failed: writing the image: mender: exit status 1"},
		{"cut short", good[:bytes.LastIndex(good, []byte("\x1f\x8b"))+100], "failed: writing the image: mender: exit status 1"},
		{"another one in progress", of("good"), "failed: U-Boot has a system on trial: upgrade_available is 1"},
	} {
		t.Run(image.name, func(t *testing.T) {
			f := &flashed{victim: newVictim(t, embedded), job: fmt.Sprintf("mender-%d", i)}
			b := newMender(t, f.dir)
			f.boot = b.boot
			if err := b.boot(); err != nil {
				t.Fatal(err)
			}
			theirs := image.name == "another one in progress"
			if theirs {
				if err := os.WriteFile(filepath.Join(f.dir, "theirs.mender"), good, 0o644); err != nil {
					t.Fatal(err)
				}
				shell(t, f.dir, `mender install theirs.mender 2>&1
echo upgrade_available=1 > set; for f in env env2; do head -c 8192 /dev/zero > $f; printf '%s 0x0 0x2000\n' "$PWD/$f" >> /etc/fw_env.config; done
fw_setenv -f set -s set; echo A > next`)
				defer shell(t, "/", "rm /etc/fw_env.config")
			}
			got := f.try(image.file, "test-board")
			t.Logf("%-28s %s in %s   %s", image.name, version(t, filepath.Join(f.dir, b.file("runs"))), b.file("runs"), got)
			want := map[bool]string{true: "2.0 B good", false: "1.0 A good"}[image.want == "succeeded"]
			if now := version(t, filepath.Join(f.dir, b.file("runs"))) + " " + b.file("runs") + " " + b.file("is"); !strings.HasPrefix(got, image.want) || now != want {
				t.Errorf("got %q and %s, want %q and %s", got, now, image.want, want)
			}
			if out := shell(t, "/", "mender commit 2>&1 && echo committed || true"); strings.Contains(out, "nothing to commit") == theirs {
				t.Errorf("got %s, want on trial what is another's: %v", out, theirs)
			}
		})
	}
}
