package agent

import (
	"os"
	"path/filepath"
	"strings"
	"testing"

	"github.com/ratchetd/ratchet/executor"
	"github.com/ratchetd/ratchet/telemetry/look/looktest"
)

// A disk that does not answer fails the steps that want it, and holds up nothing else: the
// next job runs, samples come, and the journal is let go of when the agent stops.
func TestAFileSystemThatHangsHoldsUpNothingElse(t *testing.T) {
	hung, own := looktest.Hang(t), t.TempDir()
	b := newBroker(t)
	d := newDevice(t, b, "").start().online(b)
	link := filepath.Join(own, "link")
	if err := os.Symlink(hung, link); err != nil {
		t.Fatal(err)
	}
	step := func(name, kind string, with map[string]any) map[string]any {
		return map[string]any{"name": name, kind: with, "continueOnFailure": true}
	}
	in := func(name string) string { return filepath.Join(hung, name) }
	b.offer("all", map[string]any{"id": "hangs", "steps": []any{
		step("file", "file", map[string]any{"path": in("a"), "content": "x"}),
		step("from", "file", map[string]any{"path": filepath.Join(own, "to"), "from": in("a")}),
		step("config", "config", map[string]any{"files": []any{map[string]any{"path": in("a"), "content": "x"}}}),
		step("data", "data", map[string]any{"inputs": []any{in("*.txt")}, "format": "text", "jq": "inputs", "output": filepath.Join(own, "out")}),
		step("link", "data", map[string]any{"inputs": []any{link + "/*"}, "format": "text", "jq": "inputs", "output": filepath.Join(own, "out")}),
		step("upload", "upload", map[string]any{"paths": []any{in("a")}, "url": "http://127.0.0.1:1/"}),
		step("checks", "diagnostic", map[string]any{"checks": []any{map[string]any{"disk": hung}, map[string]any{"file": in("a")}, map[string]any{"disk": "/"}}}),
		step("collect", "diagnostic", map[string]any{"checks": []any{map[string]any{"memory": true}}, "collect": map[string]any{"files": []any{in("*")}, "to": filepath.Join(own, "bundle")}}),
	}})
	s := b.final("hangs")
	wantState(t, s, executor.Succeeded)
	for _, step := range s.Steps {
		said := step.Reason + step.Output + string(step.Result)
		if step.Name != "collect" && !strings.Contains(said, "its file system does not answer") {
			t.Errorf("%s: %s %s", step.Name, step.State, said)
		}
		if step.Name == "checks" && !strings.Contains(said, `"disk /","kind":"disk","state":"ok"`) {
			t.Errorf("the check of another disk: %s", said)
		}
	}
	b.offer("all", script("next", "true"))
	wantState(t, b.final("next"), executor.Succeeded)
	if d.health.Last() == nil {
		t.Error("there is no sample")
	}
	d.stop()
	d.start().online(b)
}
