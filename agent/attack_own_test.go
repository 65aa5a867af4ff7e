package agent

import (
	"archive/tar"
	"compress/gzip"
	"crypto/ecdsa"
	"crypto/elliptic"
	"crypto/rand"
	"crypto/x509"
	"encoding/base64"
	"encoding/pem"
	"errors"
	"fmt"
	"io"
	"net/http"
	"net/http/httptest"
	"os"
	"path/filepath"
	"slices"
	"strings"

	"github.com/ratchetd/ratchet/executor"
)

// own lists names of what is the agent's own, some by other ways to them.
func (f *fort) own() []string {
	exe, err := os.Executable()
	must(f, err)
	f.write("keys.json", "{}")
	for _, dir := range []string{"secrets", "conf.d", "certs"} {
		if err := os.Mkdir(filepath.Join(f.dir, dir), 0o755); err != nil && !errors.Is(err, os.ErrExist) {
			f.Fatal(err)
		}
	}
	f.write("secrets/wifi", "hunter2hunter2")
	must(f, os.Symlink(filepath.Join(f.dir, "state"), filepath.Join(f.dir, "link")))
	must(f, os.Link(filepath.Join(f.dir, "ratchet.toml"), filepath.Join(f.dir, "hard")))
	must(f, os.Link(filepath.Join(f.dir, "state/ratchet.db"), filepath.Join(f.dir, "db")))
	must(f, os.Link(filepath.Join(f.dir, "secrets/wifi"), filepath.Join(f.dir, "wifi")))
	own := []string{exe, "/proc/self/environ", "/proc/self/root" + f.dir + "/ratchet.toml"}
	for _, name := range []string{"ratchet.toml", "keys.json", "secrets/wifi", "state/ratchet.db", "state/undo/x", "conf.d/a.toml", "device", "facts.d/x", "jobs.d/x.json", "firmware", "link.ca", "link.crt", "link.csr", "link.key", "link.password", "link.sas", "link/ratchet.db", "hard", "db", "wifi"} {
		own = append(own, filepath.Join(f.dir, name))
	}
	return own
}

func writeOwn(f *fort) string {
	sum := strings.Repeat("0", 64)
	tried := 0
	for _, path := range append(f.own(), "/etc/config/ratchet", "/usr/libexec/ratchetd/ratchetd-start", "/usr/local/libexec/ratchetd/ratchetd-start", "/usr/lib/ratchet/plugins/x") {
		for kind, with := range map[string]string{
			"file":       `{"path":%q,"content":""}`,
			"download":   `{"to":%q,"url":"http://127.0.0.1:9/x","sha256":"` + sum + `"}`,
			"config":     `{"files":[{"path":%q,"content":""}]}`,
			"data":       `{"inputs":["/etc/hostname"],"format":"text","jq":"inputs","output":%q}`,
			"diagnostic": `{"collect":{"files":["/etc/hostname"],"to":%q}}`,
		} {
			tried++
			text := fmt.Sprintf(`{"id":"j","expires":"2099-01-01T00:00:00Z","audience":["all"],"steps":[{"name":"s",%q:%s}]}`, kind, fmt.Sprintf(with, path))
			if _, err := f.judged("j", []byte(signed(f.first, text))); err == nil || !strings.Contains(err.Error(), "is protected") {
				f.Errorf("%s of %s: got %v", kind, path, err)
			}
		}
	}
	uci := f.good("j", "steps", []any{map[string]any{"name": "s", "config": map[string]any{"uci": map[string]any{"ratchet.main.broker": "x"}}}})
	if _, err := f.judged("j", []byte(signed(f.first, uci))); err == nil || !strings.Contains(err.Error(), "is protected") {
		f.Errorf("uci: got %v", err)
	}
	f.wantRuns()
	return fmt.Sprintf("rejected, %d ways", tried+1)
}

func readOwn(f *fort) string {
	server := httptest.NewServer(http.HandlerFunc(func(_ http.ResponseWriter, r *http.Request) {
		f.Errorf("something was sent to %s", r.URL)
	}))
	defer server.Close()
	out := f.TempDir()
	paths := slices.DeleteFunc(f.own(), func(path string) bool { _, err := os.Stat(path); return err != nil })
	steps := []any{}
	for i, path := range paths {
		for kind, with := range map[string]any{
			"file":   map[string]any{"path": filepath.Join(out, "copy"), "from": path},
			"upload": map[string]any{"url": server.URL, "paths": []string{path}},
			"data":   map[string]any{"inputs": []string{path}, "format": "text", "jq": "inputs", "publish": true},
		} {
			steps = append(steps, map[string]any{"name": fmt.Sprint(kind, i), kind: with, "continueOnFailure": true})
		}
	}
	bundle := filepath.Join(out, "bundle")
	steps = append(steps, map[string]any{"name": "bundle", "diagnostic": map[string]any{"collect": map[string]any{"files": paths, "to": bundle}}})
	if got := f.send("j", signed(f.first, f.good("j", "steps", steps))); got != string(executor.Succeeded) {
		f.Fatal(got)
	}
	for _, s := range f.b.final("j").Steps {
		if s.Name != "bundle" && (s.State != executor.Failed || !strings.Contains(s.Reason, "is protected")) {
			f.Errorf("%s: got %s (%s)", s.Name, s.State, s.Reason)
		}
	}
	if names := bundled(f, bundle); !slices.Equal(names, []string{"checks.json", "index.txt"}) {
		f.Errorf("the bundle holds %q", names)
	}
	f.wantRuns()
	return fmt.Sprintf("failed, %d ways", len(steps)-1+len(paths))
}

func bundled(f *fort, path string) (names []string) {
	file, err := os.Open(path)
	must(f, err)
	defer file.Close()
	zip, err := gzip.NewReader(file)
	must(f, err)
	for files := tar.NewReader(zip); ; {
		h, err := files.Next()
		if errors.Is(err, io.EOF) {
			return names
		}
		must(f, err)
		names = append(names, h.Name)
	}
}

// printedKey has a program tell the key that waits for its certificate, as it is
// and as tools write it down.
func printedKey(f *fort) string {
	key, err := ecdsa.GenerateKey(elliptic.P256(), rand.Reader)
	must(f, err)
	der, err := x509.MarshalPKCS8PrivateKey(key)
	must(f, err)
	f.write("state/pending.key", string(pem.EncodeToMemory(&pem.Block{Type: "PRIVATE KEY", Bytes: der})))
	tell := "echo begin; cat pending.key; grep -v -- - pending.key | tr -d '\\n'; echo; grep -v -- - pending.key | tr -d '\\n' | fold -w 50; echo; echo end"
	got := f.step("command", map[string]any{"shell": "cd " + filepath.Join(f.dir, "state") + " && { " + tell + "; }"})
	said := f.b.final("j").Steps[0].Output
	if !strings.HasPrefix(said, "begin") || !strings.HasSuffix(said, "end\n") {
		f.Errorf("said %q", said)
	}
	secret := base64.StdEncoding.EncodeToString(der)[48:88] // within the number itself
	for i := 0; i+12 <= len(secret); i++ {
		if strings.Contains(strings.ReplaceAll(said, "\n", ""), secret[i:i+12]) {
			f.Fatalf("said %q", said)
		}
	}
	return got + ": nothing of it is told, in lines of 64, of 50, or in one"
}

// otherUser lets a step without rights try what root could do. It needs root to
// give up.
func otherUser(f *fort) string {
	if os.Geteuid() != 0 {
		f.Skip("only root can run a step as somebody else")
	}
	f.own()
	must(f, os.Chmod(f.dir, 0o755))
	state := filepath.Join(f.dir, "state")
	script := "cd / || exit 9\nid -un; id -Gn\n"
	tries := []string{
		"cat " + filepath.Join(f.dir, "ratchet.toml"), "cat " + filepath.Join(f.dir, "secrets/wifi"), "ls " + state,
		"cat " + filepath.Join(state, "ratchet.db"), "echo x >>" + filepath.Join(state, "ratchet.db"), "touch " + filepath.Join(state, "inhibit"),
		"head -c1 /proc/$PPID/mem", "cat /proc/$PPID/environ", "ls /proc/$PPID/fd/", "kill -0 $PPID", "readlink /proc/$PPID/exe",
	}
	for _, try := range tries {
		script += "if (" + try + ") >/dev/null 2>&1; then echo 'got through:' " + fmt.Sprintf("%q", strings.ReplaceAll(try, "$", "")) + "; fi\n"
	}
	script += "ls /proc/self/fd | sort -n | tr '\\n' ' '\n"
	f.send("j", signed(f.first, f.good("j", "steps", []any{map[string]any{"name": "s", "command": map[string]any{"shell": script, "user": "nobody"}}})))
	output := f.b.final("j").Steps[0].Output
	if strings.Contains(output, "got through") || !strings.HasPrefix(output, "nobody\nnogroup\n") || !strings.HasSuffix(strings.TrimSpace(output), "\n0 1 2 3") {
		f.Errorf("got %s", output)
	}
	f.wantRuns()
	return fmt.Sprintf("denied, %d tries; no group and no descriptor of the agent's", len(tries))
}
