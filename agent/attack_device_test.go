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
	"time"

	"github.com/ratchetd/ratchet/executor"
)

var attacksOnTheDevice = []attack{
	{"messages of garbage, by the thousand", garbage},
	{"an option by way of a value that is filled in", func(f *fort) string {
		return f.step("command", map[string]any{"argv": []any{"rm", map[string]any{"jq": ".vars.option"}, f.canary}})
	}},
	{"a header by way of an address", func(f *fort) string {
		return f.step("download", map[string]any{"url": map[string]any{"jq": ".vars.crlf"}, "to": filepath.Join(f.files, "x"), "sha256": strings.Repeat("0", 64)})
	}},
	{"a header by way of a header", func(f *fort) string {
		return f.step("upload", map[string]any{"url": "http://127.0.0.1:9/x", "paths": []string{"/etc/hostname"},
			"headers": map[string]any{"X-Job": map[string]any{"jq": ".vars.newline"}}})
	}},
	{"an archive that would unpack elsewhere", archiveNames},
	{"a link in the place of a file that is being written", linkRace},
	{"a link in the place of its directory", directoryRace},
	{"a link, made before, of who may write there", linkAbove},
	{"writing what is the agent's own", writeOwn},
	{"reading what is the agent's own", readOwn},
	{"a program that prints a key of the agent's", printedKey},
	{"a step of another user at the agent and its files", otherUser},
}

// step runs a signed job of one step and tells how it ended.
func (f *fort) step(kind string, with any) string {
	f.Helper()
	steps := []any{map[string]any{"name": "s", kind: with}}
	got := f.send("j", signed(f.first, f.good("j", "steps", steps)))
	f.wantRuns()
	return got
}

// garbage is what a broker can say. It may cost no commit, and no more memory
// than what is bounded.
func garbage(f *fort) string {
	kinds := []string{"", "{", "null", `{"id":"x"}`, strings.Repeat("[", 10_000), `{"job":"{}","signature":"x"}`, "\xff\xfe",
		`{"id":"x","cancel":true}`, signed(f.other, f.good("x")), f.good("x"), strings.Repeat("x", 100_000)}
	const n = 2000
	before := f.db.Commits()
	for i := range n {
		topic := fmt.Sprintf("ratchet/v1/jobs/all/g%d", i)
		must(f, f.b.server.Publish(topic, []byte(strings.ReplaceAll(kinds[i%len(kinds)], `"x"`, fmt.Sprintf(`"g%d"`, i))), false, 1))
		if i%100 == 99 {
			await(f.T, fmt.Sprintf("message %d to be taken", i), func() bool { return f.b.count(topic) > 0 })
		}
	}
	f.wantRuns()
	if got := f.db.Commits() - before; got != 3 {
		f.Errorf("%d commits for %d messages of garbage and one job of one step: want 3", got, n)
	}
	return "no commit for them; good jobs run"
}

// archiveNames looks at what upload packs: a name from it must not lead out of
// the directory in which somebody unpacks it.
func archiveNames(f *fort) string {
	var names []string
	server := httptest.NewServer(http.HandlerFunc(func(_ http.ResponseWriter, r *http.Request) {
		zip, err := gzip.NewReader(r.Body)
		if err != nil {
			return
		}
		for files := tar.NewReader(zip); ; {
			h, err := files.Next()
			if err != nil {
				return
			}
			names = append(names, h.Name)
			if h.Typeflag != tar.TypeReg || filepath.IsAbs(h.Name) || slices.Contains(strings.Split(h.Name, "/"), "..") {
				f.Errorf("the archive has %q of type %c", h.Name, h.Typeflag)
			}
		}
	}))
	defer server.Close()
	dir := filepath.Join(f.files, "logs")
	must(f, os.Mkdir(dir, 0o755))
	for _, name := range []string{"..a", `..\b`, "c\n", "-d"} {
		must(f, os.WriteFile(filepath.Join(dir, name), nil, 0o600))
	}
	must(f, os.Symlink("/etc/hostname", filepath.Join(dir, "link")))
	got := f.step("upload", map[string]any{"url": server.URL + "/x", "paths": []string{dir + "/*", "/etc/hostnam?"}})
	if len(names) < 5 {
		f.Errorf("packed %q", names)
	}
	return got + ": files only, by names without .."
}

// linkRace has a user who may write the directory of a file that a job writes,
// and puts links to another one wherever a new file appears. Package step tries
// that at each moment for itself.
func linkRace(f *fort) string {
	victim, app := filepath.Join(f.files, "victim"), filepath.Join(f.files, "app")
	must(f, os.WriteFile(victim, []byte("kept"), 0o600))
	must(f, os.Mkdir(app, 0o777))
	got := f.race(app, func() {
		files, _ := os.ReadDir(app)
		for _, file := range files {
			_ = os.Remove(filepath.Join(app, file.Name()))
			_ = os.Symlink(victim, filepath.Join(app, file.Name()))
		}
	})
	f.wantKept(victim)
	f.wantRuns()
	return got + ": the other file is as it was"
}

// nobody is the number of the user in whose directory a job writes.
const nobody = 65534

func linkAbove(f *fort) string {
	if os.Geteuid() != 0 {
		f.Skip("only root can give a link to somebody else")
	}
	victim, app := filepath.Join(f.files, "victim"), filepath.Join(f.files, "app")
	must(f, os.Mkdir(victim, 0o755))
	must(f, os.WriteFile(filepath.Join(victim, "conf"), []byte("kept"), 0o600))
	must(f, errors.Join(os.Symlink(victim, app), os.Lchown(app, nobody, nobody)))
	got := f.step("file", map[string]any{"path": filepath.Join(app, "conf"), "content": "new"})
	f.wantKept(filepath.Join(victim, "conf"))
	return strings.ReplaceAll(got, f.files, "DIR")
}

func directoryRace(f *fort) string {
	if os.Geteuid() != 0 {
		f.Skip("only root can give a link to somebody else")
	}
	victim, app := filepath.Join(f.files, "victim"), filepath.Join(f.files, "app")
	for _, dir := range []string{victim, app} {
		must(f, os.Mkdir(dir, 0o777))
		for i := range raceSteps {
			must(f, os.WriteFile(filepath.Join(dir, fmt.Sprint("f", i)), []byte("kept"), 0o600))
		}
	}
	link := app + ".link"
	must(f, errors.Join(os.Symlink(victim, link), os.Lchown(link, nobody, nobody), os.Chown(app, nobody, nobody)))
	f.race(app, func() {
		_ = os.Rename(app, app+".was")
		_ = os.Rename(link, app)
		_ = os.Rename(app, link)
		_ = os.Rename(app+".was", app)
	})
	for i := range raceSteps {
		f.wantKept(filepath.Join(victim, fmt.Sprint("f", i)))
	}
	if files, err := os.ReadDir(victim); len(files) != raceSteps || err != nil {
		f.Errorf("got %v (%v) in the other directory, want what was there", files, err)
	}
	f.wantRuns()
	return "ends; the other directory is as it was"
}

const raceSteps = 30

// race writes and removes files in app while somebody who may write there does
// something again and again.
func (f *fort) race(app string, something func()) string {
	done, ended := make(chan struct{}), make(chan struct{})
	go func() {
		defer close(ended)
		for {
			select {
			case <-done:
				return
			case <-time.After(100 * time.Microsecond):
				something()
			}
		}
	}()
	var steps []any
	for i := range raceSteps {
		with := map[string]any{"path": filepath.Join(app, fmt.Sprint("f", i)), "absent": true}
		if i%3 > 0 {
			with = map[string]any{"path": filepath.Join(app, fmt.Sprint("f", i)), "content": "new", "mode": "0666"}
		}
		steps = append(steps, map[string]any{"name": fmt.Sprint("s", i), "continueOnFailure": true, "file": with})
	}
	got := f.send("j", signed(f.first, f.good("j", "steps", steps)))
	close(done)
	<-ended
	return got
}

func (f *fort) wantKept(path string) {
	info, err := os.Stat(path)
	if must(f, err); info.Mode().Perm() != 0o600 || readAll(f.T, path) != "kept" {
		f.Errorf("%s has mode %v and %q, want it as it was", path, info.Mode(), readAll(f.T, path))
	}
}

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
