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
