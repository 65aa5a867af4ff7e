// Package telemetry reads what the board is and how it is doing: Host returns the
// facts that hardly change, a Sampler takes one Sample after another, and ClockSane
// reports whether the wall clock can be believed.
//
// It reads the kernel's and the system's own files and nothing else. It knows
// no jobs, sends nothing, keeps nothing across a restart and starts no
// goroutine: when to sample, and what to do with it, is the agent's business.
package telemetry

import (
	"context"
	"log/slog"
	"sync"
	"time"
)

// A Sampler takes Samples. Rates and the CPU's percent are those since its
// previous Sample, so its first one has neither. It may be used by several
// goroutines.
type Sampler struct {
	Device string
	Log    *slog.Logger // nil is silent

	mu      sync.Mutex
	cpu     cpuTimes
	network traffic
	slow    slow
	named   map[string]bool // collectors whose failure is already in the log
}

// A Sample is the state of the device at one moment. What could not be read is
// left out. The agent fills in Boot and Broker.
type Sample struct {
	Device    string      `json:"device"`
	Time      time.Time   `json:"time,omitzero"`
	Uptime    int64       `json:"uptime,omitzero"` // seconds
	Boot      *Boot       `json:"boot,omitempty"`
	CPU       *CPU        `json:"cpu,omitempty"`
	Load      *Load       `json:"load,omitempty"`
	Pressure  *Pressure   `json:"pressure,omitempty"`
	Memory    *Memory     `json:"memory,omitempty"`
	Disk      []Disk      `json:"disk,omitempty"`
	Flash     []Flash     `json:"flash,omitempty"`
	Network   []Interface `json:"network,omitempty"`
	Conntrack *Conntrack  `json:"conntrack,omitempty"`
	Broker    *Broker     `json:"broker,omitempty"`
	Processes *Processes  `json:"processes,omitempty"`
	Agent     *Agent      `json:"agent,omitempty"`
}

// Broker is the state of the link.
type Broker struct {
	ConnectedFor int64  `json:"connectedFor"` // seconds
	RTTMillis    int64  `json:"rttMillis"`
	DNSMillis    *int64 `json:"dnsMillis,omitempty"` // to find its addresses, asked once an hour; absent where it has no name or none is found
}

// Sample takes one Sample. It reads a few small files, in about a millisecond. Time
// is what the wall clock says: a caller who knows that to be wrong clears it.
func (s *Sampler) Sample(ctx context.Context) Sample {
	s.mu.Lock()
	defer s.mu.Unlock()
	t := treeOf(ctx)
	s.refresh(t)
	return Sample{
		Device:    s.Device,
		Time:      time.Now().UTC().Truncate(time.Second),
		Uptime:    collect(s, "uptime", func() (int64, error) { return uptime(t) }),
		CPU:       collect(s, "cpu", func() (*CPU, error) { return s.cpu.sample(ctx, t) }),
		Load:      collect(s, "load", func() (*Load, error) { return sampleLoad(ctx) }),
		Pressure:  collect(s, "pressure", func() (*Pressure, error) { return samplePressure(t) }),
		Memory:    collect(s, "memory", func() (*Memory, error) { return sampleMemory(ctx) }),
		Disk:      collect(s, "disk", func() ([]Disk, error) { return sampleDisks(ctx, t) }),
		Flash:     s.slow.flash,
		Network:   collect(s, "network", func() ([]Interface, error) { return s.network.sample(ctx, t) }),
		Conntrack: collect(s, "conntrack", func() (*Conntrack, error) { return sampleConntrack(ctx, t) }),
		Processes: s.slow.processes,
		Agent:     collect(s, "agent", func() (*Agent, error) { return sampleAgent(t) }),
	}
}

// slow is what costs more to read than all the rest, or hardly changes. It is read
// every five minutes, and the samples in between repeat it.
type slow struct {
	read      time.Time
	flash     []Flash
	processes *Processes
}

const slowEvery = 5 * time.Minute

func (s *Sampler) refresh(t tree) {
	if !s.slow.read.IsZero() && time.Since(s.slow.read) < slowEvery {
		return
	}
	s.slow = slow{time.Now(), sampleFlash(t), collect(s, "processes", func() (*Processes, error) { return sampleProcesses(t) })}
}

// collect calls one collector. Where it fails it fails every time, so that is
// logged once.
func collect[T any](s *Sampler, name string, read func() (T, error)) T {
	v, err := read()
	if err == nil {
		return v
	}
	if !s.named[name] && s.Log != nil {
		s.Log.Warn("health is reported without "+name, "err", err)
	}
	if s.named == nil {
		s.named = map[string]bool{}
	}
	s.named[name] = true
	var none T
	return none
}
