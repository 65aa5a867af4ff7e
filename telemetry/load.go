package telemetry

import (
	"context"
	"fmt"

	"github.com/shirou/gopsutil/v3/load"
)

// Load is the mean number of tasks that wanted to run, or waited for a disk, over 1, 5 and 15 minutes.
type Load struct {
	M1  float64 `json:"m1"`
	M5  float64 `json:"m5"`
	M15 float64 `json:"m15"`
}

func sampleLoad(ctx context.Context) (*Load, error) {
	avg, err := attempt(func() (*load.AvgStat, error) { return load.AvgWithContext(ctx) })
	if err == nil {
		for _, v := range []float64{avg.Load1, avg.Load5, avg.Load15} {
			if !isPlausible("load", v) {
				err = fmt.Errorf("%v is no load", v)
			}
		}
	}
	if err != nil {
		return nil, fmt.Errorf("reading the load: %w", err)
	}
	return &Load{M1: avg.Load1, M5: avg.Load5, M15: avg.Load15}, nil
}
