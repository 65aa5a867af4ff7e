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
	Percent   *float64  `json:"percent,omitempty"` // of all cores since the previous sample
	Cores     int       `json:"cores"`
	Celsius   *float64  `json:"celsius,omitempty"`   // absent where there is no sensor
	PerCore   []float64 `json:"perCore,omitempty"`   // percent of each; absent where there is one, or more than 16
	IOWait    float64   `json:"iowait,omitempty"`    // percent of the time in which nothing but disks was waited for
	Steal     float64   `json:"steal,omitempty"`     // percent of the time that a hypervisor gave to others
	Throttled bool      `json:"throttled,omitempty"` // slowed down for its temperature or its power supply
}

// perCoreMax bounds what a server with many cores would add to every sample.
const perCoreMax = 16

// cpuTimes remembers the kernel's counters for each core, in seconds since the boot.
type cpuTimes []coreTimes

type coreTimes struct{ busy, total, iowait, steal float64 }

func (c *cpuTimes) sample(ctx context.Context, t tree) (*CPU, error) {
	times, err := cpu.TimesWithContext(ctx, true)
	if err == nil && len(times) == 0 {
		err = errors.New("no line for a core")
	}
	if err != nil {
		return nil, fmt.Errorf("reading cpu times: %w", err)
	}
	now := make(cpuTimes, len(times))
	for i, s := range times {
		now[i] = coreTimesOf(s)
	}
	out := &CPU{Cores: len(times), Celsius: celsius(t), Throttled: throttled(t)}
	out.since(*c, now)
	*c = now
	return out, nil
}

// coreTimesOf knows that the kernel counts guests in user and nice too, and
// that waiting for a disk is not work.
func coreTimesOf(s cpu.TimesStat) coreTimes {
	busy := s.User + s.Nice + s.System + s.Irq + s.Softirq + s.Steal
	return coreTimes{busy: busy, total: busy + s.Idle + s.Iowait, iowait: s.Iowait, steal: s.Steal}
}

// since fills in what follows from the counters' growth between two samples: nothing
// where a core came or went in between, or the counters of one ran backwards.
func (c *CPU) since(last, now cpuTimes) {
	if len(last) != len(now) {
		return
	}
	var all coreTimes
	for i := range now {
		d := coreTimes{now[i].busy - last[i].busy, now[i].total - last[i].total, now[i].iowait - last[i].iowait, now[i].steal - last[i].steal}
		all = coreTimes{all.busy + d.busy, all.total + d.total, all.iowait + d.iowait, all.steal + d.steal}
		if len(now) > 1 && len(now) <= perCoreMax {
			c.PerCore = append(c.PerCore, *percent(d.busy, max(d.total, 1e-9)))
		}
		if d.total != 0 && !isPlausible("cpu.percent", 100*d.busy/d.total) || d.total < 0 || !isPlausible("uptime", now[i].total) {
			all.total = math.Inf(-1)
		}
	}
	if all.total <= 0 {
		c.PerCore = nil
		return
	}
	c.Percent = percent(all.busy, all.total)
	c.IOWait, c.Steal = *percent(all.iowait, all.total), *percent(all.steal, all.total)
}

// percent has one decimal: more would only cost bytes on a metered link. The
// kernel's counters may run backwards a little, so the result is kept within 0-100.
func percent(part, whole float64) *float64 {
	p := math.Round(1000*part/whole) / 10
	p = min(max(p, 0), 100)
	return &p
}
