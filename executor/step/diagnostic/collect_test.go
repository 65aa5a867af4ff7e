package diagnostic_test

import (
	"bytes"
	"fmt"
	"math/rand"
	"os"
	"path/filepath"
	"strings"
	"syscall"
	"testing"
	"time"

	"github.com/ratchetd/ratchet/executor/step/diagnostic"
	"github.com/ratchetd/ratchet/executor/step/policy"
	"github.com/ratchetd/ratchet/executor/step/steptest"
)

// put writes files below dir.
func put(t *testing.T, dir string, files map[string]string) {
	t.Helper()
	for name, text := range files {
		path := filepath.Join(dir, name)
		if err := os.MkdirAll(filepath.Dir(path), 0o755); err != nil {
			t.Fatal(err)
		}
		if err := os.WriteFile(path, []byte(text), 0o600); err != nil {
			t.Fatal(err)
		}
	}
}

func wantText(t *testing.T, bundle map[string]string, name, part string) {
	t.Helper()
	text, ok := bundle[name]
	if !ok || !strings.Contains(text, part) {
		t.Errorf("%s: got %.300q (it is there: %v), want %q", name, text, ok, part)
	}
}

// bundled runs a diagnostic with this collect and unpacks what it made.
func bundled(t *testing.T, k diagnostic.Kind, format string, args ...any) (map[string]string, os.FileInfo) {
	t.Helper()
	to := filepath.Join(t.TempDir(), "new", "bundle.tar.gz")
	collect := fmt.Sprintf(format, args...)
	_, _, err := diagnose(t, k, `{"checks":[{"file":"/"}],"collect":{"to":%q,%s}}`, to, collect)
	if err != nil {
		t.Fatal(err)
	}
	info, err := os.Stat(to)
	if err != nil {
		t.Fatal(err)
	}
	return steptest.Unpack(t, to), info
}

func TestABundleHoldsChecksFilesAndOutput(t *testing.T) {
	dir := t.TempDir()
	put(t, dir, map[string]string{"a.conf": "alpha", "b.conf": "beta", "c.txt": "gamma", "sub/d.conf": "delta"})
	if err := syscall.Mkfifo(filepath.Join(dir, "p.conf"), 0o600); err != nil {
		t.Fatal(err)
	}
	got, info := bundled(t, diagnostic.Kind{},
		`"files":["%[1]s/*.conf","%[1]s/a.conf","%[1]s/*/d.conf","%[1]s/none*"],"commands":[["sh","-c","echo out; echo err >&2"],["false"],["no-such"],["dmesg"]]`, dir)
	wantText(t, got, "checks.json", `"name":"file /"`)
	wantText(t, got, "commands/01-sh.txt", "out\nerr\n")
	wantText(t, got, "files"+dir+"/a.conf", "alpha")
	wantText(t, got, "files"+dir+"/b.conf", "beta")
	wantText(t, got, "files"+dir+"/sub/d.conf", "delta")
	wantText(t, got, "index.txt", "commands/02-false.txt: exit status 1\n")
	wantText(t, got, "index.txt", "commands/03-no-such.txt: starting no-such: not found")
	wantText(t, got, "index.txt", dir+"/p.conf is no regular file\n")
	wantText(t, got, "index.txt", dir+"/none*: matches nothing\n")
	if _, ok := got["files"+dir+"/c.txt"]; ok {
		t.Error("c.txt is in the bundle: nobody asked for it")
	}
	if info.Mode() != 0o600 {
		t.Errorf("the bundle's mode: got %s, want it for the owner alone", info.Mode())
	}
}

// TestABundleNeverOutgrowsItsBound feeds it what cannot be compressed.
func TestABundleNeverOutgrowsItsBound(t *testing.T) {
	dir, random := t.TempDir(), rand.New(rand.NewSource(1))
	noise := make([]byte, 300<<10)
	for i := range 8 {
		_, _ = random.Read(noise)
		put(t, dir, map[string]string{fmt.Sprintf("%d-noise", i): string(noise)})
	}
	for i := range 600 {
		put(t, dir, map[string]string{fmt.Sprintf("small-%03d-%s", i, strings.Repeat("x", 200)): "x"})
	}
	for _, most := range []int64{64 << 10, 1 << 20} {
		got, info := bundled(t, diagnostic.Kind{}, `"files":["%[1]s/small*","%[1]s/*-noise"],"maxBytes":%[2]d`, dir, most)
		if info.Size() > most {
			t.Errorf("got %d bytes, want at most %d", info.Size(), most)
		}
		if info.Size() < most/2 && len(got) < 200 {
			t.Errorf("got %d bytes and %d files, want the room used", info.Size(), len(got))
		}
		wantText(t, got, "index.txt", "matches too much")
	}
}

func TestABundleKeepsTheEndOfALongLog(t *testing.T) {
	dir := t.TempDir()
	log := strings.Repeat("line of a log\n", 200_000) + "the last line\n"
	put(t, dir, map[string]string{"log": log})
	got, _ := bundled(t, diagnostic.Kind{}, `"files":["%[1]s/log"],"commands":[["cat","%[1]s/log"]]`, dir)
	for _, name := range []string{"files" + dir + "/log", "commands/01-cat.txt"} {
		if text := got[name]; !strings.HasSuffix(log, text) || len(text) < 900_000 {
			t.Errorf("%s: got %d bytes, want about the last MiB of the log", name, len(text))
		}
		wantText(t, got, "index.txt", name+": only the last ")
	}
}

func TestSecretsAreMaskedInABundle(t *testing.T) {
	dir, secret := t.TempDir(), "sesame-"+strings.Repeat("s", 1000)
	mask := func(text []byte) []byte { return bytes.ReplaceAll(text, []byte(secret), []byte("***")) }
	end := strings.Repeat(secret+"\n", 50) + strings.Repeat("a line of a log\n", (1<<20+4<<10-50*(len(secret)+1)-600)/16)
	long := strings.Repeat("x", 1000) + secret + end // where it is cut, the first secret is cut
	put(t, dir, map[string]string{"conf": "password " + secret, "long": long})
	got, _ := bundled(t, diagnostic.Kind{Mask: mask}, `"files":["%[1]s/*"],"commands":[["echo",%[2]q],["cat","%[1]s/long"],[%[2]q]]`, dir, secret)
	for name, text := range got {
		if strings.Contains(text, "ssss") {
			t.Errorf("%s holds a secret, or a part of it", name)
		}
	}
	wantText(t, got, "files"+dir+"/conf", "password ***")
	wantText(t, got, "commands/01-echo.txt", "***")
	wantText(t, got, "files"+dir+"/long", "a line of a log\n")
}

func TestWhatIsTheAgentsOwnIsNotCollected(t *testing.T) {
	dir := t.TempDir()
	put(t, dir, map[string]string{"own/key": "sesame", "open": "fine"})
	if err := os.Symlink("own/key", filepath.Join(dir, "link")); err != nil {
		t.Fatal(err)
	}
	k := diagnostic.Kind{Policy: policy.Policy{Protected: []string{filepath.Join(dir, "own")}}}
	got, _ := bundled(t, k, `"files":["%[1]s/*","%[1]s/own/*"]`, dir)
	for name, text := range got {
		if strings.Contains(text, "sesame") {
			t.Errorf("%s holds the key", name)
		}
	}
	wantText(t, got, "files"+dir+"/open", "fine")
	wantText(t, got, "index.txt", "own/key is protected")
	err := k.Check(fmt.Appendf(nil, `{"collect":{"to":"%s/own/bundle"}}`, dir))
	steptest.WantError(t, err, "is protected: it cannot be written by a job")
}

func TestNamesInABundleAreHarmless(t *testing.T) {
	dir := t.TempDir()
	put(t, dir, map[string]string{"a\nb\x1b[2J": "1", `c:\..\d`: "2"})
	got, _ := bundled(t, diagnostic.Kind{}, `"files":["%s/*"]`, dir)
	wantText(t, got, "files"+dir+"/a_b_[2J", "1")
	wantText(t, got, "files"+dir+"/c__.._d", "2")
}

func TestACommandThatHangsCostsTheBundleNothingElse(t *testing.T) {
	defer diagnostic.SetCollectTimeout(500 * time.Millisecond)()
	got, _ := bundled(t, diagnostic.Kind{}, `"commands":[["sh","-c","echo begun; sleep 300"],["echo","next"]]`)
	wantText(t, got, "index.txt", "01-sh.txt: took longer than 500ms")
	wantText(t, got, "commands/01-sh.txt", "begun")
	wantText(t, got, "commands/02-echo.txt", "next")
}

func TestAFailedCheckStillGetsItsBundle(t *testing.T) {
	to := filepath.Join(t.TempDir(), "bundle")
	_, _, err := diagnose(t, diagnostic.Kind{}, `{"checks":[{"file":"/no/such"}],"collect":{"to":%q}}`, to)
	steptest.WantError(t, err, "1 of 1 checks failed")
	wantText(t, steptest.Unpack(t, to), "checks.json", `"state":"failed"`)
	_, _, err = diagnose(t, diagnostic.Kind{}, `{"collect":{"to":%q}}`, filepath.Dir(to))
	steptest.WantError(t, err, "is a directory")
}
