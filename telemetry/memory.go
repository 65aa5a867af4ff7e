package telemetry

import (
	"context"
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
	if err == nil && !isPlausible("memory.total", float64(m.Total)) {
		err = fmt.Errorf("%d bytes are no board's memory", m.Total)
	}
	if err != nil {
		return nil, fmt.Errorf("reading memory figures: %w", err)
	}
	available, err := availableOf(m)
	if err != nil {
		return nil, fmt.Errorf("reading memory figures: %w", err)
	}
	out := &Memory{Total: m.Total, Available: available, Percent: percent(float64(m.Total-available), float64(m.Total))}
	if m.SwapTotal > 0 && isPlausible("memory.swapFree", float64(m.SwapFree)/float64(m.SwapTotal)) {
		out.SwapTotal, out.SwapFree = m.SwapTotal, m.SwapFree
	}
	return out, nil
}

// availableOf doubts the kernel's own estimate: some old kernels let it run below zero,
// and some containers say zero. What is free, and what caches hold that is on
// a disk as well, is the next best.
func availableOf(m *mem.VirtualMemoryStat) (uint64, error) {
	held := m.Buffers + m.Cached + m.Sreclaimable
	for _, bytes := range []uint64{m.Available, m.Free + held - min(m.Shared, held)} {
		if isPlausible("memory.available", float64(bytes)/float64(m.Total)) {
			return bytes, nil
		}
	}
	return 0, fmt.Errorf("of %d bytes %d are said to be available, and %d free", m.Total, m.Available, m.Free)
}
