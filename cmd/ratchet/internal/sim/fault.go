// Package sim is a fleet in one process: real agents on boards that are not there,
// whose steps sleep and end as a seed says. Nothing that a job asks for touches the
// machine that it runs on.
package sim

import (
	"cmp"
	"crypto/sha256"
	"encoding/binary"
	"fmt"
	"math"
	"slices"
	"time"
)

// Faults are the shares of the devices, in percent, that have one.
type Faults struct {
	Offline  float64 // were there once, and are away
	Flapping float64 // stop and come back, again and again
	Slow     float64 // take ten times as long for a step
	Failing  float64 // fail at a step, of each job others
	AtStep   int     // which step fails, from 1
	Clock    float64 // have a wrong clock
	Old      float64 // run an old agent, which knows fewer kinds
}

// Check says what is wrong with the faults.
func (f Faults) Check() error {
	for name, v := range map[string]float64{"offline": f.Offline, "flap": f.Flapping, "slow": f.Slow, "fail": f.Failing, "clock": f.Clock, "old": f.Old} {
		if !(v >= 0 && v <= 100) {
			return fmt.Errorf("--%s: want 0%% to 100%%", name)
		}
	}
	return nil
}

// draw is a number in [0, 1) that depends on the seed and on these words alone.
func draw(seed int64, words ...string) float64 {
	sum := sha256.Sum256(fmt.Appendf(nil, "%d %q", seed, words))
	return float64(binary.BigEndian.Uint64(sum[:8])>>11) / (1 << 53)
}

// share picks so many percent of the devices for one purpose, to the device.
func (p Plan) share(percent float64, purpose ...string) map[string]bool {
	type lot struct {
		id string
		at float64
	}
	lots := make([]lot, p.Devices)
	for i := range lots {
		id := p.id(i)
		lots[i] = lot{id, draw(p.Seed, append(purpose, id)...)}
	}
	slices.SortFunc(lots, func(a, b lot) int { return cmp.Compare(a.at, b.at) })
	picked := map[string]bool{}
	for _, l := range lots[:int(math.Round(float64(p.Devices)*percent/100))] {
		picked[l.id] = true
	}
	return picked
}

// wrongBy is how far a wrong clock is off: back to where a board without a battery
// begins, or ten years ahead.
func wrongBy(seed int64, id string) time.Duration {
	if draw(seed, "clock ahead", id) < 0.5 {
		return 10 * 365 * 24 * time.Hour
	}
	return -20 * 365 * 24 * time.Hour
}
