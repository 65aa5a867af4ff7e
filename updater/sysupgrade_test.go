package updater

import (
	"context"
	"errors"
	"os"
	"path/filepath"
	"slices"
	"testing"
)

// What a flash keeps holds keys, and is put back as root: no other user may read
// it, or have been there first.
func TestWhatAFlashKeepsWaitsWhereNobodyElseIs(t *testing.T) {
	b := plant(t, map[string]string{"/etc/ratchet/link.key": "secret"}, "/sbin/sysupgrade")
	tmp := filepath.Join(b.Root, "tmp")
	if err := errors.Join(os.MkdirAll(filepath.Join(tmp, "ratchet-keep"), 0o777), os.Chmod(filepath.Join(tmp, "ratchet-keep"), 0o777)); err != nil {
		t.Fatal(err)
	}
	for _, name := range []string{"ratchet-keep.tgz", "ratchet-keep/keep.tgz"} {
		if err := os.WriteFile(filepath.Join(tmp, name), []byte("evil"), 0o666); err != nil {
			t.Fatal(err)
		}
	}
	var tar string
	b.Run = func(ctx context.Context, c Call) (Answer, error) {
		if i := slices.Index(c.Argv, "-f"); i > 0 {
			tar = c.Argv[i+1]
			return Answer{}, nil
		}
		return run(ctx, c)
	}
	backend, err := b.Backend(t.Context(), "sysupgrade")
	if err != nil {
		t.Fatal(err)
	}
	t.Logf("flashed: %v", backend.Install(t.Context(), Image{Path: "image", Reset: true, Keep: []string{"/etc/ratchet/link.key"}}, nil))
	info, err := os.Stat(filepath.Dir(tar))
	if err != nil || tar == "" || info.Mode().Perm() != 0o700 {
		t.Fatalf("kept in %q, whose folder is %v, %v; want one that is the agent's alone", tar, info, err)
	}
	if text, err := os.ReadFile(tar); err != nil || string(text) == "evil" {
		t.Errorf("got %.20q, %v, want the tar", text, err)
	}
}
