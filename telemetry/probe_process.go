package telemetry

import (
	"context"
	"fmt"
	"os"
	"path/filepath"
	"strconv"
	"strings"
)

// Process counts the processes of a name: the kernel's, or that of the program
// as it was called. Those that have ended and wait for their parent do not count.
func (p Prober) Process(ctx context.Context, name string) (Reading, error) {
	proc := treeOf(ctx).proc
	entries, err := os.ReadDir(proc)
	if err != nil {
		return Reading{}, Unknown{err.Error()}
	}
	count := 0.0
	for _, e := range entries {
		if _, err := strconv.Atoi(e.Name()); err == nil && isProcess(filepath.Join(proc, e.Name()), name) {
			count++
		}
	}
	if count == 0 {
		return Reading{}, fmt.Errorf("no process is called %s", name)
	}
	return Reading{&count, "processes", ""}, nil
}

// isProcess reads stat, "12 (name) S ...", whose name ends after 15 bytes, and
// then how the program was called.
func isProcess(dir, name string) bool {
	stat := word(dir, "stat")
	from, to := strings.IndexByte(stat, '('), strings.LastIndexByte(stat, ')')
	if from < 0 || to < from || strings.HasPrefix(stat[to:], ") Z") {
		return false
	}
	if stat[from+1:to] == name {
		return true
	}
	called, _, _ := strings.Cut(word(dir, "cmdline"), "\x00")
	return called != "" && filepath.Base(called) == name
}
