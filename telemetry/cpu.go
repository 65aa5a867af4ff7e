package telemetry

import (
	"context"
	"errors"
	"fmt"
	"math"

	"github.com/shirou/gopsutil/v3/cpu"
)

// CPU is how busy and how hot the processor is.
type CPU struct {
	Percent *float64 `json:"percent,omitempty"` // of all cores since the previous sample
	Cores   int      `json:"cores"`
	Celsius *float64 `json:"celsius,omitempty"` // absent where there is no sensor
}

// cpuTimes remembers the kernel's counters, in seconds since the boot.
type cpuTimes struct{ busy, total float64 }

func (c *cpuTimes) sample(ctx context.Context, t tree) (*CPU, error) {
	times, err := cpu.TimesWithContext(ctx, false)
	if err == nil && len(times) == 0 {
		err = errors.New("no line for the cpu")
	}
	if err != nil {
		return nil, fmt.Errorf("reading cpu times: %w", err)
	}
	cores, err := cpu.CountsWithContext(ctx, true)
	if err != nil {
		return nil, fmt.Errorf("counting cores: %w", err)
	}
	return &CPU{Percent: c.percent(times[0]), Cores: cores, Celsius: celsius(t)}, nil
}

// percent takes the counters that grew since the last call. The kernel counts
// guests in user and nice too, and waiting for a disk is not work.
func (c *cpuTimes) percent(s cpu.TimesStat) *float64 {
	busy := s.User + s.Nice + s.System + s.Irq + s.Softirq + s.Steal
	now := cpuTimes{busy: busy, total: busy + s.Idle + s.Iowait}
	last := *c
	*c = now
	if last.total == 0 || now.total <= last.total {
		return nil
	}
	return percent(now.busy-last.busy, now.total-last.total)
}

// percent has one decimal: more would only cost bytes on a metered link. The
// kernel's counters may run backwards a little, so the result is held in 0-100.
func percent(part, whole float64) *float64 {
	p := math.Round(1000*part/whole) / 10
	p = min(max(p, 0), 100)
	return &p
}
