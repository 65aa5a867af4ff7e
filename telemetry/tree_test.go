package telemetry

import (
	"context"
	"os"
	"path/filepath"
	"testing"

	"github.com/shirou/gopsutil/v3/common"
)

// board is a context in which the system's files are those below dir.
func board(dir string) context.Context {
	return context.WithValue(context.Background(), common.EnvKey, common.EnvMap{
		common.HostProcEnvKey: filepath.Join(dir, "proc"),
		common.HostSysEnvKey:  filepath.Join(dir, "sys"),
		common.HostEtcEnvKey:  filepath.Join(dir, "etc"),
		common.HostRootEnvKey: dir,
	})
}

// copyOf is a board whose files a test may change.
func copyOf(t *testing.T, dir string) (context.Context, string) {
	t.Helper()
	own := t.TempDir()
	if err := os.CopyFS(own, os.DirFS(dir)); err != nil {
		t.Fatal(err)
	}
	return board(own), own
}

func write(t *testing.T, text string, elem ...string) {
	t.Helper()
	path := filepath.Join(elem...)
	if err := os.MkdirAll(filepath.Dir(path), 0o755); err != nil {
		t.Fatal(err)
	}
	if err := os.WriteFile(path, []byte(text), 0o644); err != nil {
		t.Fatal(err)
	}
}
