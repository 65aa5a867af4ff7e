package telemetry

import (
	"context"
	"errors"
	"fmt"

	"github.com/shirou/gopsutil/v3/mem"
)

// Memory is the board's RAM, and swap where there is some. Available is what
// programs can still get, caches included.
type Memory struct {
	Total     uint64   `json:"total"`
	Available uint64   `json:"available"`
	Percent   *float64 `json:"percent"` // what is not available
	SwapTotal uint64   `json:"swapTotal,omitempty"`
	SwapFree  uint64   `json:"swapFree,omitempty"`
}

func sampleMemory(ctx context.Context) (*Memory, error) {
	m, err := mem.VirtualMemoryWithContext(ctx)
	if err == nil && m.Total == 0 {
		err = errors.New("no total in it")
	}
	if err != nil {
		return nil, fmt.Errorf("reading memory figures: %w", err)
	}
	available := min(m.Available, m.Total)
	used := percent(float64(m.Total-available), float64(m.Total))
	return &Memory{m.Total, available, used, m.SwapTotal, m.SwapFree}, nil
}
