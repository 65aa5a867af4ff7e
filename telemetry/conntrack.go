package telemetry

import (
	"context"
	"fmt"

	"github.com/shirou/gopsutil/v3/net"
)

// Conntrack is how full the firewall's table of connections is. Once it is
// full a router drops what is new, and looks dead with an idle processor.
type Conntrack struct {
	Used    int64    `json:"used"`
	Max     int64    `json:"max"`
	Percent *float64 `json:"percent"`
}

// sampleConntrack gives none where no firewall keeps a table.
func sampleConntrack(ctx context.Context, t tree) (*Conntrack, error) {
	if !exists(t.proc, "sys/net/netfilter/nf_conntrack_count") {
		return nil, nil
	}
	found, err := net.FilterCountersWithContext(ctx)
	if err == nil && (len(found) == 0 || found[0].ConnTrackMax <= 0 || !isPlausible("conntrack.used", float64(found[0].ConnTrackCount)/float64(found[0].ConnTrackMax))) {
		err = fmt.Errorf("got %v", found)
	}
	if err != nil {
		return nil, fmt.Errorf("reading the use of conntrack: %w", err)
	}
	f := found[0]
	return &Conntrack{f.ConnTrackCount, f.ConnTrackMax, percent(float64(f.ConnTrackCount), float64(f.ConnTrackMax))}, nil
}
