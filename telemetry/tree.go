package telemetry

import (
	"context"
	"os"
	"path/filepath"
	"strings"

	"github.com/shirou/gopsutil/v3/common"
)

// A tree is where a system's files are: the real one's, or another one's that
// gopsutil's EnvKey in the context names.
type tree struct{ proc, sys, etc, root string }

func treeOf(ctx context.Context) tree {
	env, _ := ctx.Value(common.EnvKey).(common.EnvMap)
	dir := func(key common.EnvKeyType, usual string) string {
		if d := env[key]; d != "" {
			return d
		}
		return usual
	}
	return tree{
		proc: dir(common.HostProcEnvKey, "/proc"),
		sys:  dir(common.HostSysEnvKey, "/sys"),
		etc:  dir(common.HostEtcEnvKey, "/etc"),
		root: dir(common.HostRootEnvKey, "/"),
	}
}

// host is the tree of the system that this program runs on.
func host() tree { return treeOf(context.Background()) }

// line reads a file that holds one line. Device trees end theirs with a NUL.
func line(elem ...string) (string, error) {
	b, err := os.ReadFile(filepath.Join(elem...))
	return strings.TrimSpace(strings.TrimRight(string(b), "\x00")), err
}

// word is line for files that may well be missing.
func word(elem ...string) string {
	s, _ := line(elem...)
	return s
}

func exists(elem ...string) bool {
	_, err := os.Stat(filepath.Join(elem...))
	return err == nil
}
