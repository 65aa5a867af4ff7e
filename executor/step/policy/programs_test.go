package policy

import (
	"errors"
	"os"
	"path/filepath"
	"strings"
	"testing"
)

// What policy.commands lets run is written by no job, whatever links lie between
// the name in the pattern and the file.
func TestNoJobWritesAProgramOfTheOwnersThroughALink(t *testing.T) {
	dir := t.TempDir()
	at := func(name string) string { return filepath.Join(dir, name) }
	err := errors.Join(
		os.MkdirAll(at("usr/bin"), 0o755), os.Symlink("usr/bin", at("bin")), // as a merged /usr has it
		os.WriteFile(at("usr/bin/tool"), nil, 0o755),
		os.MkdirAll(at("app/releases/7"), 0o755), os.Symlink("releases/7", at("app/current")),
		os.WriteFile(at("app/releases/7/run"), nil, 0o755),
		os.MkdirAll(at("opt"), 0o755), os.Symlink(at("app/current/run"), at("opt/run")),
	)
	if err != nil {
		t.Fatal(err)
	}
	for _, c := range []struct{ pattern, write string }{
		{"bin/tool", "usr/bin/tool"},
		{"bin/tool", "bin/tool"},
		{"bin/*", "usr/bin/later"},
		{"bin/*", "bin/later"},
		{"bin/later", "bin/later"},
		{"bin/later/*", "usr/bin/later/deep"},
		{"b*n/tool", "usr/bin/tool"},
		{"b?n/later", "bin/later"},
		{"opt/run", "app/releases/7/run"},
		{"opt/*", "app/current/run"},
		{"app/*/run", "app/current/run"},
		{"app/c*/run", "app/releases/7/run"},
		{"app/current/run", "app/releases/7/run"},
	} {
		p := Policy{Commands: []string{at(c.pattern)}}
		if err := p.Writable(at(c.write)); err == nil || !strings.Contains(err.Error(), "policy.commands lets it be run") {
			t.Errorf("commands %s: writing %s: got %v, want it refused", c.pattern, c.write, err)
		}
	}
	for _, c := range []struct{ pattern, write string }{
		{"bin/tool", "usr/bin/other"},
		{"opt/run", "app/releases/7/data"},
		{"bin/*", "usr/data"},
	} {
		if err := (Policy{Commands: []string{at(c.pattern)}}).Writable(at(c.write)); err != nil {
			t.Errorf("commands %s: writing %s: got %v, want it allowed", c.pattern, c.write, err)
		}
	}
}
