package agent

import (
	"fmt"
	"net/http"
	"net/http/httptest"
	"os"
	"path/filepath"
	"strconv"
	"strings"
	"syscall"
	"time"
)

// attacksOnTimeAndRoom would hold the queue, or fill the disk, without an end.
var attacksOnTimeAndRoom = []attack{
	{"an onFailure that never ends", func(f *fort) string {
		f.rules(`maxTime = "12s"`)
		return f.timed("steps", []any{shell("s", "exit 1")}, "onFailure", []any{shell("x", "sleep 100000"), shell("y", "true")})
	}},
	{"an undo that never ends", func(f *fort) string {
		f.rules(`maxTime = "30s"`, `maxUndo = "3s"`)
		there := filepath.Join(f.files, "there")
		apply := []string{"sh", "-c", "test ! -e " + there + " || sleep 100000; touch " + there}
		return f.timed("undoOnFailure", true, "steps", []any{
			map[string]any{"name": "s", "config": map[string]any{"files": []any{map[string]any{"path": filepath.Join(f.files, "conf"), "content": "x"}}, "apply": apply}},
			shell("t", "exit 1")})
	}},
	{"a pause before a retry that never ends", func(f *fort) string {
		f.rules(`maxTime = "3s"`)
		step := shell("s", "exit 1")
		step["retry"] = map[string]any{"attempts": 2, "delay": "1h"}
		return f.timed("steps", []any{step})
	}},
	{"a child that leaves a step that takes too long", escapes("sleep 100000")},
	{"a child that leaves a step that fails", escapes("exit 1")},
	{"a child that leaves a step that succeeds", escapes("exit 0")},
	{"a download that never ends", endlessDownload},
	{"a sparse file of a terabyte, sent and copied", sparseFile},
	{"a pipe in the place of a file", pipeForFile},
}

// escapes has a step start a child in a session of its own, whose parents are gone,
// and tells what became of both once the step is over.
func escapes(script string) func(f *fort) string {
	return func(f *fort) string {
		file := filepath.Join(f.files, "pid")
		s := shell("s", "(setsid sh -c 'echo $$ >"+file+"; exec sleep 100000' >/dev/null 2>&1 &) & while [ ! -s "+file+" ]; do sleep 0.01; done; "+script)
		s["timeout"] = "10s"
		got := f.timed("steps", []any{s})
		pid, err := strconv.Atoi(strings.TrimSpace(readAll(f.T, file)))
		must(f, err)
		stat, err := os.ReadFile(fmt.Sprintf("/proc/%d/stat", pid))
		if err != nil || strings.Contains(string(stat), ") Z ") {
			return got + ": the child is dead"
		}
		must(f, syscall.Kill(pid, syscall.SIGKILL))
		return got + ": the child lives"
	}
}

// endlessDownload has a server fill a small disk, without saying with how much.
func endlessDownload(f *fort) string {
	disk := filepath.Join(f.files, "disk")
	must(f, os.Mkdir(disk, 0o755))
	if err := syscall.Mount("tmpfs", disk, "tmpfs", 0, "size=32m"); err != nil {
		f.Skip("only root can mount a small disk")
	}
	f.Cleanup(func() { _ = syscall.Unmount(disk, syscall.MNT_DETACH) })
	server := httptest.NewServer(http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		for r.Context().Err() == nil {
			if _, err := w.Write(make([]byte, 64<<10)); err != nil {
				return
			}
		}
	}))
	defer server.Close()
	got := f.step("download", map[string]any{"url": server.URL, "unverified": true, "to": filepath.Join(disk, "f")})
	if left, err := os.ReadDir(disk); len(left) > 0 || err != nil {
		f.Errorf("left behind: %v, %v", left, err)
	}
	before, _, _ := strings.Cut(got, ", but ")
	return strings.ReplaceAll(before, server.URL, "URL") + "; nothing is left behind"
}

func sparseFile(f *fort) string {
	f.rules(`maxSize = "64MB"`)
	sparse := filepath.Join(f.files, "sparse")
	must(f, os.WriteFile(sparse, nil, 0o600))
	must(f, os.Truncate(sparse, 1<<40))
	sent := map[string]any{"name": "s", "upload": map[string]any{"url": "http://127.0.0.1:9/x", "paths": []string{sparse}}, "continueOnFailure": true}
	copied := map[string]any{"name": "c", "file": map[string]any{"path": filepath.Join(f.files, "copy"), "from": sparse}, "continueOnFailure": true}
	return f.reasons(sent, copied)
}

func pipeForFile(f *fort) string {
	pipe := filepath.Join(f.files, "pipe")
	must(f, syscall.Mkfifo(pipe, 0o600))
	read := map[string]any{"name": "d", "data": map[string]any{"inputs": []string{pipe}, "format": "text", "jq": "inputs", "publish": true}, "continueOnFailure": true}
	copied := map[string]any{"name": "c", "file": map[string]any{"path": filepath.Join(f.files, "copy"), "from": pipe}, "continueOnFailure": true}
	return f.reasons(read, copied)
}

// reasons runs a job of these steps and tells why each has failed.
func (f *fort) reasons(steps ...any) string {
	got := f.timed("steps", steps)
	for _, s := range f.b.final("j").Steps {
		got += "; " + s.Name + ": " + strings.ReplaceAll(s.Reason, f.files, "DIR")
	}
	return got
}

// shell is a step that runs a script of the shell.
func shell(name, script string) map[string]any {
	return map[string]any{"name": name, "command": map[string]any{"shell": script}}
}

// rules starts the device again with these lines in its policy.
func (f *fort) rules(lines ...string) {
	f.stop()
	f.b.forget()
	f.write("ratchet.toml", readAll(f.T, filepath.Join(f.dir, "ratchet.toml"))+strings.Join(lines, "\n")+"\n")
	f.start().online(f.b)
}

// timed sends a job that would hold the queue for hours, and a good one behind it.
func (f *fort) timed(changes ...any) string {
	f.Helper()
	start := time.Now()
	got := f.send("j", signed(f.first, f.good("j", changes...)))
	f.wantRuns()
	if took := time.Since(start); took > 5*time.Minute {
		f.Errorf("it held the queue for %s", took)
	}
	return got
}
