package main

import (
	"bytes"
	"compress/gzip"
	"io"
	"os"
	"os/exec"
	"path/filepath"
	"strings"
	"testing"
)

// installs runs the script's install on a new board and tells what slot B
// holds then, and which slot boots.
func installs(t *testing.T, path string, stdin io.Reader) (version, next string, err error) {
	t.Helper()
	dir := t.TempDir()
	b, err := newBoard(filepath.Join(dir, "board"), filepath.Join(dir, "etc"), standIns(t), 1<<20)
	if err != nil {
		t.Fatal(err)
	}
	cmd := exec.Command(filepath.Join(dir, "etc/uboot"), "install", path)
	cmd.Stdin = stdin
	out, err := cmd.CombinedOutput()
	if err != nil {
		t.Logf("%s", out)
	}
	env, e := b.env()
	if e != nil {
		t.Fatal(e)
	}
	version, is := b.slot("B")
	return version + " " + is, env["boot_slot"], err
}

func zipped(t *testing.T, image []byte) []byte {
	t.Helper()
	var out bytes.Buffer
	w := gzip.NewWriter(&out)
	if _, err := w.Write(image); err != nil {
		t.Fatal(err)
	}
	if err := w.Close(); err != nil {
		t.Fatal(err)
	}
	return out.Bytes()
}

func TestUBootsScriptTakesAStream(t *testing.T) {
	t.Parallel()
	image := firmwareImage("2.0", "good", 1<<20)
	odd := append([]byte("%\x00"), image...) // what a shell might take for something else
	if _, next, err := installs(t, "-", bytes.NewReader(odd[:1<<20])); next != "B" || err != nil {
		t.Errorf("odd first bytes: got %s next, %v", next, err)
	}
	for name, stream := range map[string][]byte{"raw": image, "compressed": zipped(t, image)} {
		version, next, err := installs(t, "-", bytes.NewReader(stream))
		if version != "2.0 good" || next != "B" || err != nil {
			t.Errorf("%s: got %s, %s next, %v", name, version, next, err)
		}
	}
}

// TestUBootsScriptArmsNothingThatWasCutShort: what is read back is what was
// written then, but not what was to be written.
func TestUBootsScriptArmsNothingThatWasCutShort(t *testing.T) {
	t.Parallel()
	packed := zipped(t, firmwareImage("2.0", "good", 1<<20))
	half := filepath.Join(t.TempDir(), "half.gz")
	if err := os.WriteFile(half, packed[:len(packed)-200], 0o644); err != nil {
		t.Fatal(err)
	}
	for name, in := range map[string]string{"a file": half, "a stream": "-"} {
		_, next, err := installs(t, in, strings.NewReader(string(packed[:len(packed)-200])))
		if next != "A" || err == nil {
			t.Errorf("%s: got %s next and %v, want it refused", name, next, err)
		}
	}
}

// TestUBootsScriptWritesNoEnvironmentThatItDidNotRead: with a wrong size in
// fw_env.config the tools show a default one and end well.
func TestUBootsScriptWritesNoEnvironmentThatItDidNotRead(t *testing.T) {
	t.Parallel()
	tools := map[string]string{"stand-ins": standIns(t)}
	if _, err := exec.LookPath("/usr/bin/fw_setenv"); err == nil {
		tools["libubootenv"] = "/usr/bin"
	}
	for name, path := range tools {
		dir := t.TempDir()
		b, err := newBoard(filepath.Join(dir, "board"), filepath.Join(dir, "etc"), path, 1<<20)
		if err != nil {
			t.Fatal(err)
		}
		run := func(argv ...string) (string, error) {
			cmd := exec.Command(filepath.Join(dir, "etc/uboot"), argv...)
			cmd.Env = append(os.Environ(), "RATCHET_STATE="+dir)
			out, err := cmd.CombinedOutput()
			return string(out), err
		}
		image := filepath.Join(dir, "image")
		if err := os.WriteFile(image, firmwareImage("2.0", "good", 1<<20), 0o644); err != nil {
			t.Fatal(err)
		}
		if out, err := run("install", image); err != nil {
			t.Fatalf("%s: %v: %s", name, err, out)
		}
		kept, err := os.ReadFile(filepath.Join(dir, "uboot.env"))
		if err != nil || !strings.Contains(string(kept), "boot_slot=A\n") || !strings.Contains(string(kept), "bootlimit=3\n") {
			t.Errorf("%s: got %q kept, %v, want the environment as it was", name, kept, err)
		}
		shell(t, b.dir, `echo arch=other > default; sed -i s/0x2000/0x1000/ fw_env.config; [ "$1" != /usr/bin ] || {
	printf '#!/bin/sh\nexec /usr/bin/fw_printenv -f "%s/default" "$@"\n' "$PWD" > fw_printenv
	printf '#!/bin/sh\nexec /usr/bin/fw_setenv -f "%s/default" "$@"\n' "$PWD" > fw_setenv
	chmod +x fw_printenv fw_setenv
	sed -i "s|^PATH=.*|PATH=$PWD:$PATH|" ../etc/firmware.conf
}`, path)
		before, err := os.ReadFile(b.path("env"))
		if err != nil {
			t.Fatal(err)
		}
		for _, argv := range [][]string{{"install", image}, {"confirm"}, {"rollback", "A"}, {"state"}} {
			out, err := run(argv...)
			if err == nil || !strings.Contains(out, "was not read, so it is not written either") {
				t.Errorf("%s: %s: got %v and %s, want it refused", name, argv[0], err, out)
			}
		}
		if after, err := os.ReadFile(b.path("env")); err != nil || !bytes.Equal(before, after) {
			t.Errorf("%s: got another environment (%v), want it as it was", name, err)
		}
	}
}

// TestUBootsScriptSaysWhichSlotBootsNext and whether the one that runs is on trial.
func TestUBootsScriptSaysWhichSlotBootsNext(t *testing.T) {
	t.Parallel()
	dir := t.TempDir()
	b, err := newBoard(filepath.Join(dir, "board"), filepath.Join(dir, "etc"), standIns(t), 1<<20)
	if err != nil {
		t.Fatal(err)
	}
	for _, tt := range []struct {
		env  map[string]string
		want string
	}{
		{nil, `"next":"A","trial":false`},
		{map[string]string{"upgrade_available": "1"}, `"next":"A","trial":true`},
		{map[string]string{"upgrade_available": "1", "boot_slot": "B"}, `"next":"B","trial":false`},
	} {
		if err := b.set(tt.env); err != nil {
			t.Fatal(err)
		}
		out, err := exec.Command(filepath.Join(dir, "etc/uboot"), "state").CombinedOutput()
		if err != nil || !strings.Contains(string(out), tt.want) {
			t.Errorf("%v: got %v and %s, want %s", tt.env, err, out, tt.want)
		}
	}
}
