package telemetry

import (
	"context"
	"encoding/binary"
	"encoding/hex"
	"errors"
	"fmt"
	"net/netip"
	"os"
	"path/filepath"
	"sort"
	"strconv"
	"strings"
	"syscall"
	"time"
)

const gatewayWait = 4 * time.Second // for one of several

// Gateway finds out whether there is a default route and something answers at
// its other end; the value is the time to it in milliseconds. One of several is enough.
func (p Prober) Gateway(ctx context.Context) (Reading, error) {
	t := treeOf(ctx)
	routes := defaultRoutes(t)
	if len(routes) == 0 {
		return Reading{}, errors.New("there is no default route")
	}
	var worst error
	for _, r := range routes {
		reading, err := r.probe(ctx, t)
		if err == nil {
			return reading, nil
		}
		if worst == nil || errors.As(err, new(Unknown)) { // one that may be fine weighs more
			worst = err
		}
	}
	return Reading{}, worst
}

// route is a default route. A modem's has no gateway: via is not valid.
type route struct {
	iface  string
	via    netip.Addr
	metric uint64
}

// probe accepts an answer to ARP as well: many gateways answer no ping.
func (r route) probe(ctx context.Context, t tree) (Reading, error) {
	if !r.via.IsValid() {
		return Reading{Detail: "default route over " + r.iface}, nil
	}
	ctx, cancel := context.WithTimeout(ctx, gatewayWait)
	defer cancel()
	reading, err := ping(ctx, r.via)
	switch {
	case err == nil || errors.As(err, new(Unknown)):
		return reading, err
	case errors.Is(err, syscall.EHOSTUNREACH):
	case inARP(t, r):
		return Reading{Detail: fmt.Sprintf("%s answers ARP, but no ping", r.via)}, nil
	case r.via.Is6():
		return reading, Unknown{fmt.Sprintf("the gateway %s answers no ping, which it may have been told", r.via)}
	}
	return reading, fmt.Errorf("the gateway %s over %s is not there: %w", r.via, r.iface, err)
}

// defaultRoutes are those of IPv4 and IPv6, the kernel's favourite first.
func defaultRoutes(t tree) []route {
	var list []route
	for _, f := range rows(t, "net/route") {
		if r, ok := parseRoute4(f); ok {
			list = append(list, r)
		}
	}
	for _, f := range rows(t, "net/ipv6_route") {
		if r, ok := parseRoute6(f); ok {
			list = append(list, r)
		}
	}
	sort.SliceStable(list, func(i, j int) bool { return list[i].metric < list[j].metric })
	return list
}

const (
	routeUp     = 0x1
	routeReject = 0x200
)

// parseRoute4 reads "eth0 00000000 0107A8C0 0003 0 0 100 00000000 0 0 0":
// interface, destination, gateway, flags, ..., metric, mask. Addresses are hex
// numbers in the byte order of the processor.
func parseRoute4(f []string) (route, bool) {
	if len(f) < 8 || f[1] != "00000000" || f[7] != "00000000" || !usable(f[3]) {
		return route{}, false
	}
	r := route{iface: f[0]}
	r.metric, _ = strconv.ParseUint(f[6], 10, 64)
	via, err := strconv.ParseUint(f[2], 16, 32)
	if err == nil && via != 0 {
		var b [4]byte
		binary.NativeEndian.PutUint32(b[:], uint32(via))
		r.via = netip.AddrFrom4(b)
	}
	return r, err == nil
}

// parseRoute6 reads destination, its length, source, its length, gateway,
// metric, two counters, flags, interface; numbers are hex.
func parseRoute6(f []string) (route, bool) {
	if len(f) < 10 || strings.Trim(f[0]+f[1], "0") != "" || f[9] == "lo" || !usable(f[8]) {
		return route{}, false
	}
	r := route{iface: f[9]}
	r.metric, _ = strconv.ParseUint(f[5], 16, 64)
	raw, err := hex.DecodeString(f[4])
	via, ok := netip.AddrFromSlice(raw)
	if ok && !via.IsUnspecified() {
		r.via = via
	}
	if r.via.IsLinkLocalUnicast() {
		r.via = r.via.WithZone(r.iface)
	}
	return r, err == nil && ok
}

func usable(flags string) bool {
	n, err := strconv.ParseUint(flags, 16, 32)
	return err == nil && n&routeUp != 0 && n&routeReject == 0
}

// inARP reports whether the gateway is in "192.168.7.1 0x1 0x2 c4:04:15:00:00:01 * eth0"
// with a hardware address that was answered.
func inARP(t tree, r route) bool {
	const complete = 0x2
	for _, f := range rows(t, "net/arp") {
		if len(f) >= 6 && f[0] == r.via.String() && f[5] == r.iface {
			flags, err := strconv.ParseUint(f[2], 0, 32)
			return err == nil && flags&complete != 0
		}
	}
	return false
}

// rows are the fields of each line of a table of the kernel.
func rows(t tree, table string) [][]string {
	var list [][]string
	text, _ := os.ReadFile(filepath.Join(t.proc, table))
	for row := range strings.Lines(string(text)) {
		list = append(list, strings.Fields(row))
	}
	return list
}
