package main

import (
	"os"
	"path/filepath"
	"testing"
)

func TestTheRuntimeStaysBelowItsShareOfTheBoard(t *testing.T) {
	const (
		mib   = 1 << 20
		board = "MemFree: 1 kB\nMemTotal:      131072 kB\n"
		huge  = "9223372036854771712\n" // no bound, as version 1 says it
	)
	for name, c := range map[string]struct {
		files map[string]string
		want  int64
	}{
		"nothing is known":  {nil, 0},
		"128 MB":            {map[string]string{"proc/meminfo": board}, 16 * mib},
		"32 MB":             {map[string]string{"proc/meminfo": "MemTotal: 32768 kB\n"}, leastMemory},
		"nonsense":          {map[string]string{"proc/meminfo": "MemTotal: many\n", "proc/self/cgroup": "0\n"}, 0},
		"an unbound group":  {map[string]string{"proc/meminfo": board, "proc/self/cgroup": "0::/a/b\n", "sys/fs/cgroup/a/b/memory.max": "max\n"}, 16 * mib},
		"a bound group":     {map[string]string{"proc/meminfo": board, "proc/self/cgroup": "0::/a/b\n", "sys/fs/cgroup/a/b/memory.max": "29360128\n"}, 14 * mib},
		"a small group":     {map[string]string{"proc/meminfo": board, "proc/self/cgroup": "0::/a/b\n", "sys/fs/cgroup/a/b/memory.max": "16777216\n"}, leastMemory},
		"the group above":   {map[string]string{"proc/self/cgroup": "0::/a/b\n", "sys/fs/cgroup/a/b/memory.max": "max\n", "sys/fs/cgroup/a/memory.max": "33554432\n"}, 16 * mib},
		"the container":     {map[string]string{"proc/self/cgroup": "0::/\n", "sys/fs/cgroup/memory.max": "33554432\n"}, 16 * mib},
		"version 1":         {map[string]string{"proc/self/cgroup": "3:cpu:/a\n2:memory:/a\n", "sys/fs/cgroup/memory/a/memory.limit_in_bytes": "67108864\n"}, 32 * mib},
		"version 1 unbound": {map[string]string{"proc/meminfo": board, "proc/self/cgroup": "2:memory:/a\n", "sys/fs/cgroup/memory/a/memory.limit_in_bytes": huge}, 16 * mib},
	} {
		root := t.TempDir()
		for file, text := range c.files {
			path := filepath.Join(root, file)
			if err := os.MkdirAll(filepath.Dir(path), 0o755); err != nil {
				t.Fatal(err)
			}
			if err := os.WriteFile(path, []byte(text), 0o600); err != nil {
				t.Fatal(err)
			}
		}
		if got := memoryLimit(root); got != c.want {
			t.Errorf("%s: got %d, want %d", name, got, c.want)
		}
	}
}
