package agent

import (
	"fmt"
	"os"
	"path/filepath"
	"strings"
	"testing"

	"github.com/ratchetd/ratchet/agent/config"
	"github.com/ratchetd/ratchet/executor"
)

// The owner says where plugins lie; nobody else does, and no job writes there.
func TestPluginsLieWhereTheOwnerSays(t *testing.T) {
	b := newBroker(t)
	plugins := t.TempDir()
	if err := os.WriteFile(filepath.Join(plugins, "relay"), []byte("#!/bin/sh\necho \"$1 by relay\"\n"), 0o755); err != nil {
		t.Fatal(err)
	}
	d := newDevice(t, b, fmt.Sprintf("[policy]\nplugins = %q\n", plugins)).start().online(b)
	b.offer("device/gw-1", map[string]any{"id": "run", "steps": []any{map[string]any{"name": "p", "plugin": map[string]any{"name": "relay"}}}})
	if s := b.final("run"); s.State != executor.Succeeded || s.Steps[0].Output != "run by relay\n" {
		t.Errorf("got %s (%s), want the plugin's word", s.State, s.Reason)
	}
	b.offer("device/gw-1", map[string]any{"id": "write", "steps": []any{map[string]any{"name": "f", "file": map[string]any{"path": plugins + "/other", "content": "x"}}}})
	if s := b.final("write"); s.State != executor.Rejected || !strings.Contains(s.Reason, "is protected") {
		t.Errorf("got %s (%s), want it protected", s.State, s.Reason)
	}
	for content, want := range map[string]string{
		"[policy]\nplugins = \"lib\"\n": `policy.plugins: "lib": want an absolute path`,
		"plugins = \"/tmp\"\n":          "plugins: unknown key",
	} {
		d.write("other.toml", content)
		if _, err := config.Load(filepath.Join(d.dir, "other.toml")); err == nil || !strings.Contains(err.Error(), want) {
			t.Errorf("%s: got %v, want %s", content, err, want)
		}
	}
	if err := config.CheckPart("job", "[policy]\nplugins = \"/tmp\"\n"); err == nil {
		t.Error("settings of a job may name the folder, want that they may not")
	}
}
