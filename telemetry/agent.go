package telemetry

import (
	"fmt"
	"os"
	"path/filepath"
	"strconv"
	"strings"
)

// Agent is what this program itself costs.
type Agent struct {
	RSS          uint64  `json:"rss"`
	FlashWritten *uint64 `json:"flashWritten,omitempty"` // bytes sent to disks since it started; absent where the kernel does not count
}

func sampleAgent(t tree) (*Agent, error) {
	statm, err := line(t.proc, "self/statm")
	if err != nil {
		return nil, fmt.Errorf("reading the agent's size: %w", err)
	}
	fields := strings.Fields(statm)
	if len(fields) < 2 {
		return nil, fmt.Errorf("reading the agent's size: %q has no second number", statm)
	}
	pages, err := strconv.ParseUint(fields[1], 10, 64)
	if err != nil {
		return nil, fmt.Errorf("reading the agent's size: %w", err)
	}
	return &Agent{RSS: pages * uint64(os.Getpagesize()), FlashWritten: written(t)}, nil
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
