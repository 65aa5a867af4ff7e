package telemetry

import (
	"path/filepath"
	"strings"
)

const (
	typePPP      = "512" // ARPHRD_PPP: a modem's or a DSL line's, with the address that the world sees
	typeLoopback = "772" // ARPHRD_LOOPBACK
)

// realInterfaces leaves out what is virtual: loopback, tunnels, and the
// bridges and pairs of containers, which come and go. Bridges and VLANs over
// real hardware stay, since on a router they are what has the address. Where
// nothing at all is real, as in a container, everything but loopback is.
func realInterfaces(t tree, names []string) []string {
	var real, rest []string
	for _, name := range names {
		kind := word(t.sys, "class/net", name, "type")
		switch {
		case isReal(t, name, 4):
			real = append(real, name)
		case kind != "" && kind != typeLoopback: // a file such as bonding_masters has no type
			rest = append(rest, name)
		}
	}
	if len(real) == 0 {
		return rest
	}
	return real
}

// isReal looks below an interface for hardware, at most depth layers down.
func isReal(t tree, name string, depth int) bool {
	dir := filepath.Join(t.sys, "class/net", name)
	if exists(dir, "device") || word(dir, "type") == typePPP {
		return true
	}
	lower, _ := filepath.Glob(filepath.Join(dir, "lower_*"))
	for _, link := range lower {
		if depth > 0 && isReal(t, strings.TrimPrefix(filepath.Base(link), "lower_"), depth-1) {
			return true
		}
	}
	return false
}
