package dialect

import "github.com/ratchetd/ratchet/telemetry"

// Metrics is one report for Device Defender: what its service knows by name,
// and numbers that the account must have declared as custom metrics.
type Metrics struct {
	ID      int64              // must rise
	Traffic *telemetry.Traffic // since the last report that was accepted
	Sockets telemetry.Sockets
	Numbers map[string]float64
}

// Defended is Device Defender's answer to a report.
type Defended struct {
	ID  int64
	Err error
}
