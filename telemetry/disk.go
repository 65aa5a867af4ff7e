package telemetry

import (
	"context"
	"errors"
	"fmt"

	"github.com/shirou/gopsutil/v3/disk"
)

// Disk is one file system that can fill up.
type Disk struct {
	Path    string   `json:"path"`
	Total   uint64   `json:"total"`
	Free    uint64   `json:"free"` // for programs that are not root
	Percent *float64 `json:"percent"`
	Inodes  *float64 `json:"inodesPercent,omitempty"` // used; absent where there is no fixed number of them
}

// sampleDisks asks every device once. One that cannot be asked is left out as
// long as another can.
func sampleDisks(ctx context.Context, t tree) ([]Disk, error) {
	mounts, err := readMounts(t)
	if err != nil {
		return nil, fmt.Errorf("reading mounts: %w", err)
	}
	var all []Disk
	var errs []error
	for _, m := range disks(mounts) {
		u, err := disk.UsageWithContext(ctx, m.path)
		if err != nil {
			errs = append(errs, fmt.Errorf("asking %s for its room: %w", m.path, err))
			continue
		}
		if u.Used+u.Free > 0 { // as df counts: what is reserved for root is no room
			all = append(all, Disk{m.path, u.Total, u.Free, percent(float64(u.Used), float64(u.Used+u.Free)), inodes(u)})
		}
	}
	if len(all) == 0 {
		return nil, errors.Join(errs...)
	}
	return all, nil
}

func inodes(u *disk.UsageStat) *float64 {
	if u.InodesTotal == 0 {
		return nil
	}
	return percent(float64(u.InodesUsed), float64(u.InodesTotal))
}
