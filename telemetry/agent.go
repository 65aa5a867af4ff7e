package telemetry

import (
	"errors"
	"os"
	"path/filepath"
	"strconv"
	"strings"
	"syscall"
	"time"
)

// Agent is what this program itself costs.
type Agent struct {
	RSS          uint64  `json:"rss"`
	CPUMillis    int64   `json:"cpuMillis,omitempty"`    // of processor time since it started
	FlashWritten *uint64 `json:"flashWritten,omitempty"` // bytes sent to disks since it started; absent where the kernel does not count
}

func sampleAgent(t tree) (*Agent, error) {
	rss := residentBytes(filepath.Join(t.proc, "self"))
	if rss == 0 {
		return nil, errors.New("reading the agent's size: self/statm does not tell")
	}
	return &Agent{RSS: rss, CPUMillis: cpuTime().Milliseconds(), FlashWritten: written(t)}, nil
}

// cpuTime is what this process has used, its children aside.
func cpuTime() time.Duration {
	var u syscall.Rusage
	if syscall.Getrusage(syscall.RUSAGE_SELF, &u) != nil {
		return 0
	}
	return time.Duration(u.Utime.Nano() + u.Stime.Nano())
}

func written(t tree) *uint64 {
	text, err := os.ReadFile(filepath.Join(t.proc, "self/io"))
	if err != nil {
		return nil
	}
	for row := range strings.Lines(string(text)) {
		if value, ok := strings.CutPrefix(row, "write_bytes:"); ok {
			if n, err := strconv.ParseUint(strings.TrimSpace(value), 10, 64); err == nil {
				return &n
			}
		}
	}
	return nil
}
