package telemetry

import (
	"encoding/binary"
	"encoding/hex"
	"fmt"
	"net"
	"net/netip"
	"os"
	"path/filepath"
	"slices"
	"strconv"
	"strings"
)

// A Socket is a port at which the device listens, or one end of a connection.
type Socket struct {
	Interface string // that has its address; empty where it listens at all of them
	Port      int
	Remote    string // address and port of the other end
}

// Sockets are those of the device.
type Sockets struct{ TCP, UDP, Established []Socket }

// Traffic is what went over all interfaces but the loopback, since they began.
type Traffic struct{ BytesIn, BytesOut, PacketsIn, PacketsOut uint64 }

// States of a socket in the kernel's tables.
const (
	established = "01"
	unconnected = "07"
	listening   = "0A"
)

// ReadSockets reads the kernel's tables of sockets, each port once.
func ReadSockets() (Sockets, error) {
	return attempt(func() (Sockets, error) { return readSockets(host(), interfacesByAddress()) })
}

func readSockets(t tree, names map[netip.Addr]string) (Sockets, error) {
	var s Sockets
	for _, table := range []string{"tcp", "tcp6", "udp", "udp6"} {
		rows, err := os.ReadFile(filepath.Join(t.proc, "net", table))
		if err != nil {
			if strings.HasSuffix(table, "6") {
				continue // a kernel without IPv6
			}
			return s, fmt.Errorf("reading the sockets: %w", err)
		}
		s.read(table, string(rows), names)
	}
	return s, nil
}

func (s *Sockets) read(table, rows string, names map[netip.Addr]string) {
	for row := range strings.Lines(rows) {
		f := strings.Fields(row)
		if len(f) < 4 {
			continue
		}
		local, ok := endpoint(f[1])
		remote, ok2 := endpoint(f[2])
		if !ok || !ok2 { // the head of the table
			continue
		}
		socket := Socket{Interface: names[local.Addr()], Port: int(local.Port())}
		udp := strings.HasPrefix(table, "udp")
		switch {
		case udp && f[3] == unconnected:
			s.UDP = once(s.UDP, socket)
		case !udp && f[3] == listening:
			s.TCP = once(s.TCP, socket)
		case !udp && f[3] == established:
			socket.Remote = remote.String()
			s.Established = append(s.Established, socket)
		}
	}
}

func once(list []Socket, s Socket) []Socket {
	if slices.Contains(list, s) {
		return list
	}
	return append(list, s)
}

// endpoint reads an address as the kernel writes it: words of 32 bits in the
// order of this machine, and the port.
func endpoint(text string) (netip.AddrPort, bool) {
	address, port, _ := strings.Cut(text, ":")
	raw, err := hex.DecodeString(address)
	number, bad := strconv.ParseUint(port, 16, 16)
	if err != nil || bad != nil || len(raw) != 4 && len(raw) != 16 {
		return netip.AddrPort{}, false
	}
	if littleEndian {
		for word := range slices.Chunk(raw, 4) {
			slices.Reverse(word)
		}
	}
	a, _ := netip.AddrFromSlice(raw)
	return netip.AddrPortFrom(a.Unmap(), uint16(number)), true
}

var littleEndian = binary.NativeEndian.Uint16([]byte{1, 0}) == 1

func interfacesByAddress() map[netip.Addr]string {
	names := map[netip.Addr]string{}
	list, _ := net.Interfaces() // none: ports are told without
	for _, i := range list {
		addresses, _ := i.Addrs()
		for _, a := range addresses {
			if p, err := netip.ParsePrefix(a.String()); err == nil {
				names[p.Addr().Unmap()] = i.Name
			}
		}
	}
	return names
}

// ReadTraffic reads the counters of all interfaces.
func ReadTraffic() (Traffic, error) {
	return attempt(func() (Traffic, error) { return readTraffic(host()) })
}

func readTraffic(t tree) (Traffic, error) {
	var sum Traffic
	devices, err := readDevices(t)
	if err != nil {
		return sum, fmt.Errorf("reading the traffic: %w", err)
	}
	for _, d := range devices {
		if d.name == "lo" {
			continue
		}
		sum.BytesIn += d.counters[rxBytes]
		sum.PacketsIn += d.counters[rxPackets]
		sum.BytesOut += d.counters[txBytes]
		sum.PacketsOut += d.counters[txPackets]
	}
	return sum, nil
}

// Since is what came to it since then; an interface that began again makes a
// counter smaller, and then it counts from zero.
func (t Traffic) Since(then Traffic) Traffic {
	return Traffic{risen(t.BytesIn, then.BytesIn), risen(t.BytesOut, then.BytesOut),
		risen(t.PacketsIn, then.PacketsIn), risen(t.PacketsOut, then.PacketsOut)}
}

func risen(now, then uint64) uint64 {
	if now < then {
		return now
	}
	return now - then
}
