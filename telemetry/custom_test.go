package telemetry

import (
	"bytes"
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"log/slog"
	"os"
	"path/filepath"
	"slices"
	"strconv"
	"strings"
	"syscall"
	"testing"
	"time"
)

// customOf makes the directory of custom facts: by name, and those whose text
// begins as a script does are executable.
func customOf(t *testing.T, files map[string]string) (*Custom, *bytes.Buffer) {
	t.Helper()
	var log bytes.Buffer
	c := &Custom{Dir: t.TempDir(), Log: slog.New(slog.NewTextHandler(&log, nil))}
	for name, text := range files {
		mode := os.FileMode(0o644)
		if strings.HasPrefix(text, "#!") {
			mode = 0o755
		}
		path := filepath.Join(c.Dir, name)
		put(t, path, text)
		if err := os.Chmod(path, mode); err != nil {
			t.Fatal(err)
		}
	}
	return c, &log
}

func namesOf(facts map[string]json.RawMessage) string {
	var names []string
	for name := range facts {
		names = append(names, name)
	}
	slices.Sort(names)
	return strings.Join(names, " ")
}

func TestFilesAndProgramsOfTheOwnerAreFacts(t *testing.T) {
	c, log := customOf(t, map[string]string{
		"rack.json":   `{"row": 4, "serial": 12345678901234567890}`,
		"modem.sh":    "#!/bin/sh\necho '{\"imei\": \"42\"}'",
		"antennas":    "#!/bin/sh\necho 2",
		"edited.json": "\uFEFF[1]",
		".half.json":  "{",
	})
	got, err := json.Marshal(c.Facts(t.Context()))
	if err != nil {
		t.Fatal(err)
	}
	if want := `{"antennas":2,"edited":[1],"modem":{"imei":"42"},"rack":{"row":4,"serial":12345678901234567890}}`; string(got) != want {
		t.Errorf("got %s, want %s", got, want)
	}
	if log.Len() > 0 {
		t.Errorf("the log says %s, want nothing", log)
	}
}

func TestNoDirectoryIsNoFactsAndNoComplaint(t *testing.T) {
	c, log := customOf(t, nil)
	c.Dir = filepath.Join(c.Dir, "facts.d")
	if got := c.Facts(t.Context()); got == nil || len(got) != 0 || log.Len() > 0 {
		t.Errorf("got %v and the log %q, want an empty map and nothing", got, log)
	}
}

func TestWhatIsNoFactIsLeftOutAndNamedOnce(t *testing.T) {
	c, log := customOf(t, map[string]string{
		"good.json":      `true`,
		"half.json":      `{"a":`,
		"two.json":       `1 2`,
		"empty.json":     ``,
		"latin.json":     "\"\xff\"",
		"long.json":      `"` + strings.Repeat("x", customBytes) + `"`,
		"deep.json":      strings.Repeat("[", 9000) + strings.Repeat("]", 9000),
		"notes.txt":      `not a fact`,
		"odd name.json":  `1`,
		"fails.sh":       "#!/bin/sh\necho 1; exit 3",
		"dies.sh":        "#!/bin/sh\necho 1; kill -9 $$",
		"floods.sh":      "#!/bin/sh\nexec yes",
		"interpreter.sh": "#!/no/such\n",
	})
	put(t, filepath.Join(c.Dir, "open.sh"), "#!/bin/sh\necho 1")
	err1 := os.Chmod(filepath.Join(c.Dir, "open.sh"), 0o777)
	err2 := os.Mkdir(filepath.Join(c.Dir, "folder.json"), 0o755)
	err3 := syscall.Mkfifo(filepath.Join(c.Dir, "pipe.json"), 0o600)
	if err1 != nil || err2 != nil || err3 != nil {
		t.Fatal(err1, err2, err3)
	}
	for range 2 {
		c.Refresh(t.Context())
	}
	if got := namesOf(c.Facts(t.Context())); got != "good" {
		t.Errorf("got %s, want only good", got)
	}
	entries, err := os.ReadDir(c.Dir)
	if err != nil {
		t.Fatal(err)
	}
	for _, e := range entries {
		want := 1
		if e.Name() == "good.json" {
			want = 0
		}
		if n := strings.Count(log.String(), e.Name()+`" err=`) + strings.Count(log.String(), "file="+e.Name()+" err="); n != want {
			t.Errorf("%s: it was named %d times, want %d, in\n%s", e.Name(), n, want, log)
		}
	}
}

func TestAFactThatFailsAgainIsNamedAgain(t *testing.T) {
	c, log := customOf(t, map[string]string{"a.json": "{"})
	for _, text := range []string{"{", "{", "1", "{"} {
		put(t, filepath.Join(c.Dir, "a.json"), text)
		c.Refresh(t.Context())
	}
	if n := strings.Count(log.String(), "a.json"); n != 2 {
		t.Errorf("it was named %d times, want 2, in\n%s", n, log)
	}
}

func TestOnlySoManyFactsAreTaken(t *testing.T) {
	files := map[string]string{}
	for i := range customFiles + 2 {
		files[fmt.Sprintf("f%02d.json", i)] = "1"
	}
	c, log := customOf(t, files)
	if got := len(c.Facts(t.Context())); got != customFiles || strings.Count(log.String(), "at most") != 2 {
		t.Errorf("got %d facts, want %d, and the log %s", got, customFiles, log)
	}
}

// The facts are asked for all the time; the programs run when it is time to.
func TestProgramsRunOnlyAtTheFirstUseAndAtARefresh(t *testing.T) {
	c, _ := customOf(t, nil)
	count := filepath.Join(t.TempDir(), "count")
	path := filepath.Join(c.Dir, "n")
	put(t, path, "#!/bin/sh\necho x >>"+count+"; wc -l <"+count)
	if err := os.Chmod(path, 0o700); err != nil {
		t.Fatal(err)
	}
	for range 5 {
		c.Facts(t.Context())
	}
	c.Refresh(t.Context())
	if got := string(c.Facts(t.Context())["n"]); strings.TrimSpace(got) != "2" {
		t.Errorf("it ran %s times, want 2", got)
	}
}

func TestAProgramSeesNothingOfTheAgentsEnvironment(t *testing.T) {
	t.Setenv("HTTPS_PROXY", "http://user:password@proxy")
	c, _ := customOf(t, map[string]string{"env": "#!/bin/sh\necho \"\\\"$(env)\\\"\" | tr '\\n' ' '"})
	got := string(c.Facts(t.Context())["env"])
	if !strings.Contains(got, "LANG=C.UTF-8") || strings.Contains(got, "password") {
		t.Errorf("got %s, want a clean environment", got)
	}
}

func TestAProgramThatHangsIsEndedWithItsGroup(t *testing.T) {
	pids := filepath.Join(t.TempDir(), "pids")
	c, log := customOf(t, map[string]string{"hangs": "#!/bin/sh\nsleep 600 & echo $$ $! >" + pids + "; echo 1; wait"})
	ctx, cancel := context.WithCancelCause(t.Context())
	go func() { // once it hangs its time is over
		for text := ""; strings.Count(text, " ") == 0; time.Sleep(time.Millisecond) {
			text = word(pids)
		}
		cancel(errors.New("it took too long"))
	}()
	began := time.Now()
	if got := namesOf(c.Facts(ctx)); got != "" || time.Since(began) > 30*time.Second {
		t.Errorf("got %q after %s, want nothing, and before it ends by itself", got, time.Since(began))
	}
	if !strings.Contains(log.String(), "it took too long") {
		t.Errorf("the log says %s, want why", log)
	}
	wantGone(t, pids)
}

func TestNothingThatAProgramStartsOutlivesIt(t *testing.T) {
	pids := filepath.Join(t.TempDir(), "pids")
	c, _ := customOf(t, map[string]string{"a": "#!/bin/sh\nsleep 600 & echo $! >" + pids + "; echo 1"})
	if got := namesOf(c.Facts(t.Context())); got != "a" {
		t.Errorf("got %q, want a: it ended well", got)
	}
	wantGone(t, pids)
}

// wantGone asserts that no process lives whose id stands in the file.
func wantGone(t *testing.T, file string) {
	t.Helper()
	text, err := os.ReadFile(file)
	if err != nil || len(text) == 0 {
		t.Fatalf("got %q, %v, want ids of processes", text, err)
	}
	for word := range strings.FieldsSeq(string(text)) {
		pid, _ := strconv.Atoi(word)
		for end := time.Now().Add(time.Minute); alive(pid); time.Sleep(10 * time.Millisecond) {
			if time.Now().After(end) {
				t.Fatalf("process %d lives on", pid)
			}
		}
	}
}

// alive reports whether the process is there and no zombie, which waits only for
// its parent.
func alive(pid int) bool {
	stat := word("/proc", strconv.Itoa(pid), "stat")
	return stat != "" && !strings.Contains(stat, ") Z")
}

// Whoever owns a program can change it, and it runs as the agent does.
func TestAProgramOfSomebodyElseIsNotRun(t *testing.T) {
	if os.Geteuid() != 0 {
		t.Skip("needs root, to give a file away")
	}
	c, log := customOf(t, map[string]string{"theirs": "#!/bin/sh\necho 1", "ours": "#!/bin/sh\necho 2"})
	if err := os.Chown(filepath.Join(c.Dir, "theirs"), 65534, 65534); err != nil {
		t.Fatal(err)
	}
	if got := namesOf(c.Facts(t.Context())); got != "ours" || !strings.Contains(log.String(), "belongs to another user") {
		t.Errorf("got %q, and the log %q, want ours alone and why", got, log)
	}
}
