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
	"fmt"
	"log/slog"
	"maps"
	"slices"
	"strings"
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
	disks   room
	slow    slow
	failed  map[string]failure // by the name of the collector
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
		Disk:      collect(s, "disk", func() ([]Disk, error) { return s.disks.sample(ctx, t) }),
		Flash:     s.slow.flash,
		Network:   collect(s, "network", func() ([]Interface, error) { return s.network.sample(t) }),
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
	flash := collect(s, "flash", func() ([]Flash, error) { return sampleFlash(t), nil })
	s.slow = slow{time.Now(), flash, collect(s, "processes", func() (*Processes, error) { return sampleProcesses(t) })}
}

// A failure is a collector's last one.
type failure struct {
	at  time.Time
	err error
}

// collect calls one collector. Where it fails it fails every time, so that is
// logged once.
func collect[T any](s *Sampler, name string, read func() (T, error)) T {
	v, err := attempt(read)
	if err == nil {
		return v
	}
	if _, named := s.failed[name]; !named && s.Log != nil {
		s.Log.Warn("health is reported without "+name, "err", err)
	}
	if s.failed == nil {
		s.failed = map[string]failure{}
	}
	s.failed[name] = failure{time.Now(), err}
	return v
}

// attempt calls what reads a file of the kernel's. One that no author has thought
// of may make it panic; that is an error of this reading and of no other.
func attempt[T any](read func() (T, error)) (v T, err error) {
	defer func() {
		if p := recover(); p != nil {
			var none T
			v, err = none, fmt.Errorf("it holds what cannot be read: panic: %v", p)
		}
	}()
	return read()
}

// Failing says which collectors have failed in the last five minutes, and why;
// empty where none has.
func (s *Sampler) Failing() string {
	s.mu.Lock()
	defer s.mu.Unlock()
	var all []string
	for _, name := range slices.Sorted(maps.Keys(s.failed)) {
		if f := s.failed[name]; time.Since(f.at) < slowEvery {
			all = append(all, name+": "+f.err.Error())
		}
	}
	return strings.Join(all, "; ")
}
