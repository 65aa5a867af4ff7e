package safefile

import (
	"bytes"
	"encoding/binary"
	"encoding/json"
	"errors"
	"fmt"
	"os"
	"path/filepath"
	"strings"
	"testing"

	"golang.org/x/sys/unix"
)

// aclFor lets one more user read a file, as the kernel writes it.
func aclFor(uid uint32) []byte {
	acl := binary.LittleEndian.AppendUint32(nil, 2)
	for _, e := range []struct {
		tag, rights uint16
		id          uint32
	}{{1, 6, 1<<32 - 1}, {2, 4, uid}, {4, 4, 1<<32 - 1}, {16, 4, 1<<32 - 1}, {32, 0, 1<<32 - 1}} {
		acl = binary.LittleEndian.AppendUint16(acl, e.tag)
		acl = binary.LittleEndian.AppendUint16(acl, e.rights)
		acl = binary.LittleEndian.AppendUint32(acl, e.id)
	}
	return acl
}

// netRaw is the file capability cap_net_raw+ep, as the kernel writes it.
var netRaw = []byte{1, 0, 0, 2, 0, 32, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0}

// carrying makes a file that has all sorts of extended attributes.
func carrying(t *testing.T, path string) Extended {
	t.Helper()
	x := Extended{"user.note": []byte("mine"), accessList: aclFor(1), "security.selinux": []byte("system_u:object_r:etc_t:s0\x00"), capabilities: netRaw}
	err := os.WriteFile(path, []byte("old"), 0o640)
	for name, value := range x {
		err = errors.Join(err, unix.Setxattr(path, name, value, 0))
	}
	if err != nil {
		t.Skip("this file system, or this user, sets no such attributes: ", err)
	}
	return x
}

func wantExtended(t *testing.T, when, path string, want Extended) {
	t.Helper()
	got, err := Stat(path)
	if err != nil || !got.Extended.equal(want) || got.Extended == nil {
		t.Errorf("%s: got %q, %v, want %q", when, got.Extended, err, want)
	}
}

// What a name carries stays with the name: what takes a file's place has it, and so has what an
// undo brings back, also where the undo data could not hold it.
func TestWhatAFileCarriesIsKeptAndRestored(t *testing.T) {
	for _, where := range []string{"on the same disk", "on another"} {
		t.Run(where, func(t *testing.T) {
			dir, task := t.TempDir(), filepath.Join(t.TempDir(), "task")
			if where == "on another" {
				if task = "/dev/shm/ratchet-xattrs-" + filepath.Base(dir); os.MkdirAll(task, 0o700) != nil {
					t.Skip("no other disk")
				}
				t.Cleanup(func() { _ = os.RemoveAll(task) })
			}
			path := filepath.Join(dir, "conf")
			x := carrying(t, path)
			var u Undo
			if err := u.Keep(Files{}, task, path, func() error { return nil }); err != nil {
				t.Fatal(err)
			}
			want, err := AttrsFor("", "", *u.Was)
			if err != nil {
				t.Fatal(err)
			}
			if err := (Files{}).Write(path, strings.NewReader("new"), want); err != nil {
				t.Fatal(err)
			}
			wantExtended(t, "after the change", path, x)
			for _, name := range []string{"user.note", accessList, capabilities} { // what another program does meanwhile
				if err := unix.Removexattr(path, name); err != nil {
					t.Fatal(err)
				}
			}
			saved, err := json.Marshal(u)
			var later Undo
			if err := errors.Join(err, json.Unmarshal(saved, &later)); err != nil {
				t.Fatal(err)
			}
			for range 2 {
				if err := later.Restore(Files{}, task); err != nil {
					t.Fatal(err)
				}
				wantExtended(t, "after the undo", path, x)
				if text, _ := os.ReadFile(path); string(text) != "old" {
					t.Errorf("got %q", text)
				}
			}
		})
	}
}

// A mode that a job asks for counts, also beside an access list; and a list that comes from the
// directory is none of a file that had none.
func TestAnAccessListNeitherWidensNorBendsAMode(t *testing.T) {
	dir := t.TempDir()
	path := filepath.Join(dir, "conf")
	if err := os.WriteFile(path, []byte("old"), 0o640); err != nil {
		t.Fatal(err)
	}
	if err := unix.Setxattr(dir, "system.posix_acl_default", aclFor(1), 0); err != nil {
		t.Skip("no access lists here: ", err)
	}
	write := func(mode string) Entry {
		was, err := Stat(path)
		want, bad := AttrsFor(mode, "", was)
		if err := errors.Join(err, bad, Files{}.Write(path, strings.NewReader("new"), want)); err != nil {
			t.Fatal(err)
		}
		now, err := Stat(path)
		if err != nil {
			t.Fatal(err)
		}
		return now
	}
	if now := write(""); now.Extended[accessList] != nil || now.Mode != 0o640 {
		t.Errorf("got mode %o and the list % x of the directory", now.Mode, now.Extended[accessList])
	}
	if err := unix.Setxattr(path, accessList, aclFor(1), 0); err != nil {
		t.Fatal(err)
	}
	if now := write("0600"); now.Extended[accessList] == nil || now.Mode != 0o600 {
		t.Errorf("got mode %o and the list % x, want 0600 and one that lets nobody in", now.Mode, now.Extended[accessList])
	}
}

func TestAttributesThatCannotBeKeptAreRefused(t *testing.T) {
	path := filepath.Join(t.TempDir(), "conf")
	if err := os.WriteFile(path, []byte("old"), 0o644); err != nil {
		t.Fatal(err)
	}
	var full error
	for i := 0; i < 10 && full == nil; i++ {
		full = unix.Setxattr(path, fmt.Sprint("user.", i), bytes.Repeat([]byte("x"), 3000), 0)
	}
	if _, err := Stat(path); full == nil && (err == nil || !strings.Contains(err.Error(), "more than 16384 bytes of extended attributes")) { // ext4 takes less
		t.Errorf("got %v", err)
	}
	file, err := os.Open("/proc/self/status")
	if err != nil {
		t.Skip("no /proc")
	}
	defer file.Close()
	if err := (Extended{"user.note": []byte("x")}).give(file); err == nil || !strings.Contains(err.Error(), "the attribute user.note of /proc/self/status cannot be kept") {
		t.Errorf("got %v", err)
	}
}

// What a file system notes for itself, or of the content, is not a file's to keep.
func TestWhichAttributesAreKept(t *testing.T) {
	for name, want := range map[string]bool{
		accessList: true, serverList: true, capabilities: true, "user.note": true, "trusted.note": true, "security.selinux": true, "security.SMACK64": true, "btrfs.compression": true,
		"trusted.overlay.opaque": false, "user.overlay.redirect": false, "security.ima": false, "security.evm": false, "system.posix_acl_default": false,
	} {
		if got := isKept(name); got != want {
			t.Errorf("%s: kept is %v, want %v", name, got, want)
		}
	}
}

// An access list of an NFSv4 server that cannot be set again is not lost without a word.
func TestAServersAccessListIsNotLostInSilence(t *testing.T) {
	path := filepath.Join(t.TempDir(), "file")
	a := Attrs{Mode: 0o644, UID: -1, GID: -1, Extended: Extended{serverList: []byte("A::OWNER@:rw")}}
	err := Files{}.Write(path, strings.NewReader("new"), a)
	if err == nil || !strings.Contains(err.Error(), serverList) {
		t.Errorf("got %v, want an error that names %s", err, serverList)
	}
	if left, _ := filepath.Glob(filepath.Join(filepath.Dir(path), "*")); len(left) != 0 {
		t.Errorf("left %q", left)
	}
}
