package agent

import (
	"archive/tar"
	"compress/gzip"
	"errors"
	"fmt"
	"net/http"
	"net/http/httptest"
	"os"
	"path/filepath"
	"slices"
	"strings"
	"time"
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
