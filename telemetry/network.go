package telemetry

import (
	"fmt"
	"math"
	"slices"
	"sort"
	"strconv"
	"time"
)

// Interface is one network interface that is not virtual. Its counters begin
// again when it does; rates are bytes per second since the previous sample.
type Interface struct {
	Name     string   `json:"name"`
	Up       bool     `json:"up"`
	RxBytes  uint64   `json:"rxBytes"`
	TxBytes  uint64   `json:"txBytes"`
	RxErrors uint64   `json:"rxErrors"`
	TxErrors uint64   `json:"txErrors"`
	RxRate   *float64 `json:"rxRate,omitempty"`
	TxRate   *float64 `json:"txRate,omitempty"`
	RxDrops  uint64   `json:"rxDrops,omitempty"`
	TxDrops  uint64   `json:"txDrops,omitempty"`
	Speed    uint64   `json:"speedMbit,omitempty"`
	Signal   int      `json:"signalDBm,omitempty"` // of the access point that a radio is connected to
}

// traffic remembers the previous sample, and for five minutes which interfaces
// are real: finding that out is a third of a sample's work.
type traffic struct {
	at   time.Time
	last []Interface

	names, real []string
	sorted      time.Time
}

func (n *traffic) sample(t tree) ([]Interface, error) {
	devices, err := readDevices(t)
	if err != nil {
		return nil, fmt.Errorf("reading network counters: %w", err)
	}
	var names []string
	for _, d := range devices {
		names = append(names, d.name)
	}
	now := time.Now() // carries the monotonic clock: a jump of the wall clock bends no rate
	if !slices.Equal(names, n.names) || now.Sub(n.sorted) >= slowEvery {
		n.names, n.real, n.sorted = names, realInterfaces(t, names), now
	}
	heard := signals(t)
	var all []Interface
	for _, d := range devices {
		if slices.Contains(n.real, d.name) {
			i := interfaceOf(t, d)
			i.Signal = heard[d.name]
			all = append(all, n.rated(i, now))
		}
	}
	sort.Slice(all, func(i, j int) bool { return all[i].Name < all[j].Name })
	n.at, n.last = now, all
	return all, nil
}

func interfaceOf(t tree, d device) Interface {
	c := d.counters
	return Interface{Name: d.name, Up: isUp(t, d.name), Speed: speedMbit(t, d.name),
		RxBytes: c[rxBytes], RxErrors: c[rxErrors], RxDrops: c[rxDrops],
		TxBytes: c[txBytes], TxErrors: c[txErrors], TxDrops: c[txDrops]}
}

func (n *traffic) rated(i Interface, now time.Time) Interface {
	k := slices.IndexFunc(n.last, func(old Interface) bool { return old.Name == i.Name })
	if seconds := now.Sub(n.at).Seconds(); k >= 0 && seconds > 0 {
		i.RxRate = rate(n.last[k].RxBytes, i.RxBytes, seconds)
		i.TxRate = rate(n.last[k].TxBytes, i.TxBytes, seconds)
	}
	return i
}

// rate is absent where the counter began again, or is no counter.
func rate(before, after uint64, seconds float64) *float64 {
	if after < before {
		return nil
	}
	r := math.Round(float64(after-before) / seconds)
	if !isPlausible("network.rate", r) {
		return nil
	}
	return &r
}

// isUp asks for a carrier. Links that have none to speak of, such as ppp, say
// "unknown" for as long as they exist, so there the administrator's word counts.
func isUp(t tree, name string) bool {
	switch word(t.sys, "class/net", name, "operstate") {
	case "up":
		return true
	case "unknown":
		flags, err := strconv.ParseUint(word(t.sys, "class/net", name, "flags"), 0, 32)
		return err == nil && flags&1 != 0
	}
	return false
}
