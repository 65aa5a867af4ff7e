package telemetry

import (
	"context"
	"crypto/tls"
	"fmt"
	"math"
	"net"
	"net/netip"
	"slices"
	"strings"
	"time"

	"github.com/ratchetd/ratchet/telemetry/look"
)

// A Prober looks once at one thing of the device, or of the network around it.
// The zero value is ready to use. A probe's error says what is wrong; an Unknown says
// that the probe had no means to find out. Every probe ends with its ctx.
type Prober struct {
	Resolver *net.Resolver // nil asks the servers in resolv.conf
	TLS      *tls.Config   // of https; nil trusts what the system trusts
	// Permit says why TCP and HTTP may not talk to a host, or nil: first by its
	// name, then by each address that it leads to. Nil lets them go anywhere.
	Permit func(host string, ip netip.Addr) error
}

// A Reading is what a probe found, also beside an error.
type Reading struct {
	Value  *float64 // nil where there is nothing to measure
	Unit   string
	Detail string // for people
}

// Unknown is a probe's error when it lacks what it needs, such as a sensor.
type Unknown struct{ Reason string }

func (u Unknown) Error() string { return u.Reason }

// Disk measures how full the file system of path is, in percent.
func (p Prober) Disk(ctx context.Context, path string) (Reading, error) {
	a := look.At(ctx, path)[0]
	if err := a.Error(); err != nil {
		return Reading{}, Unknown{fmt.Sprintf("asking %s for its room: %v", path, err)}
	}
	d := newDisk(path, a)
	if d == nil {
		return Reading{}, Unknown{path + " is on a file system that has no room of its own"}
	}
	return Reading{d.Percent, "%", fmt.Sprintf("%d bytes free", d.Free)}, nil
}

// Memory measures how much of the memory programs cannot get, in percent.
func (p Prober) Memory(ctx context.Context) (Reading, error) {
	m, err := sampleMemory(ctx)
	if err != nil {
		return Reading{}, Unknown{err.Error()}
	}
	return Reading{m.Percent, "%", fmt.Sprintf("%d bytes available", m.Available)}, nil
}

// Load reads the load of the last minute.
func (p Prober) Load(ctx context.Context) (Reading, error) {
	l, err := sampleLoad(ctx)
	if err != nil {
		return Reading{}, Unknown{err.Error()}
	}
	return Reading{Value: &l.M1}, nil
}

// Temperature reads how hot the processor is, in degrees Celsius.
func (p Prober) Temperature(ctx context.Context) (Reading, error) {
	c := celsius(treeOf(ctx))
	if c == nil {
		return Reading{}, Unknown{"this board has no temperature sensor"}
	}
	return Reading{Value: c, Unit: "°C"}, nil
}

// File finds out whether there is something at path.
func (p Prober) File(ctx context.Context, path string) (Reading, error) {
	a := look.At(ctx, path)[0]
	if a.Absent {
		return Reading{}, fmt.Errorf("%s does not exist", path)
	}
	if err := a.Error(); err != nil {
		return Reading{}, Unknown{err.Error()}
	}
	return Reading{}, nil
}

// Link finds out whether a network interface is up.
func (p Prober) Link(ctx context.Context, name string) (Reading, error) {
	t := treeOf(ctx)
	state := word(t.sys, "class/net", name, "operstate")
	switch {
	case state == "":
		return Reading{}, fmt.Errorf("there is no interface %s", name)
	case !isUp(t, name):
		return Reading{}, fmt.Errorf("%s is %s", name, state)
	}
	return Reading{Detail: name + " is up"}, nil
}

// Address finds out whether a network interface has an address that reaches
// further than its own link.
func (p Prober) Address(name string) (Reading, error) {
	face, err := net.InterfaceByName(name)
	if err != nil {
		return Reading{}, fmt.Errorf("there is no interface %s", name)
	}
	loops := face.Flags&net.FlagLoopback != 0 // its addresses are no global ones, and all that it has
	var global []string
	for _, a := range addresses(name) {
		if a.IsGlobalUnicast() || loops && a.IsLoopback() {
			global = append(global, a.String())
		}
	}
	if len(global) == 0 {
		return Reading{}, fmt.Errorf("%s has no address but link-local ones", name)
	}
	slices.Sort(global)
	return Reading{Detail: strings.Join(global, " ")}, nil
}

// inMillis makes a reading of a time span, to a hundredth of a millisecond.
func inMillis(d time.Duration, detail string) Reading {
	ms := math.Round(float64(d)/float64(10*time.Microsecond)) / 100
	return Reading{&ms, "ms", detail}
}
