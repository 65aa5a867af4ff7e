package config

import (
	"fmt"
	"path/filepath"
	"testing"
)

// A draft stands in the order of names, where its file will.
func TestADraftIsReadWhereItsFileWillStand(t *testing.T) {
	dir := etc(t, map[string]string{"ratchet.toml": least,
		"conf.d/10-a.toml": "[vars]\na = 1\nb = 1\nc = 1\n", "conf.d/30-c.toml": "[vars]\nc = 3\n", "conf.d/20-b.toml": "[vars]\na = 2\nb = 2\nc = 2\n"})
	for _, c := range []struct {
		draft Draft
		want  string
	}{
		{Draft{}, "map[a:2 b:2 c:3]"},
		{Draft{"25-x", "[vars]\nb = 9\nc = 9\n"}, "map[a:2 b:9 c:3]"},
		{Draft{"20-b", "[vars]\nb = 9\n"}, "map[a:1 b:9 c:3]"},
		{Draft{"20-b", ""}, "map[a:1 b:1 c:3]"},
		{Draft{"00-x", "[vars]\na = 9\nd = 9\n"}, "map[a:2 b:2 c:3 d:9]"},
	} {
		got, err := LoadDraft(filepath.Join(dir, "ratchet.toml"), c.draft, noMAC)
		if err != nil || fmt.Sprint(map[string]any(got.Vars)) != c.want {
			t.Errorf("%+v: got %v, %v, want %s", c.draft, got, err, c.want)
		}
	}
}
