package telemetry

import (
	"encoding/binary"
	"errors"
	"fmt"
	"net/netip"
	"slices"
	"testing"
)

// hex4 writes an address as /proc/net/route does on this processor.
func hex4(address string) string {
	b := netip.MustParseAddr(address).As4()
	return fmt.Sprintf("%08X", binary.NativeEndian.Uint32(b[:]))
}

const (
	route4 = "Iface\tDestination\tGateway \tFlags\tRefCnt\tUse\tMetric\tMask\t\tMTU\tWindow\tIRTT\n" +
		"wwan0\t00000000\t00000000\t0001\t0\t0\t700\t00000000\t0\t0\t0\n" +
		"eth0\t00000000\t%s\t0003\t0\t0\t100\t00000000\t0\t0\t0\n" +
		"eth0\t0007A8C0\t00000000\t0001\t0\t0\t100\t00FFFFFF\t0\t0\t0\n" +
		"eth9\t00000000\t00000000\t0200\t0\t0\t1\t00000000\t0\t0\t0\n"
	route6 = "00000000000000000000000000000000 00 00000000000000000000000000000000 00 fe800000000000000000000000000001 00000064 00000001 00000000 00000003 eth0\n" +
		"20010db8000000000000000000000000 40 00000000000000000000000000000000 00 00000000000000000000000000000000 00000100 00000001 00000000 00000001 eth0\n" +
		"00000000000000000000000000000000 00 00000000000000000000000000000000 00 00000000000000000000000000000000 ffffffff 00000001 00000000 00200200 lo\n"
)

func TestDefaultRoutesAreReadInTheKernelsOrder(t *testing.T) {
	ctx, dir := copyOf(t, "testdata/pc")
	write(t, fmt.Sprintf(route4, hex4("192.168.7.1")), dir, "proc/net/route")
	write(t, route6, dir, "proc/net/ipv6_route")
	got := defaultRoutes(treeOf(ctx))
	want := []route{
		{"eth0", netip.MustParseAddr("192.168.7.1"), 100},
		{"eth0", netip.MustParseAddr("fe80::1%eth0"), 100},
		{"wwan0", netip.Addr{}, 700},
	}
	if !slices.Equal(got, want) {
		t.Errorf("got  %v\nwant %v", got, want)
	}
}

func TestGatewayProbe(t *testing.T) {
	ctx, dir := copyOf(t, "testdata/pc")
	if _, err := (Prober{}).Gateway(ctx); err == nil || err.Error() != "there is no default route" {
		t.Errorf("no table: got %v, want no default route", err)
	}
	write(t, "wwan0 00000000 00000000 0001 0 0 700 00000000 0 0 0\n", dir, "proc/net/route")
	if got, err := (Prober{}).Gateway(ctx); err != nil || got.Detail != "default route over wwan0" {
		t.Errorf("a modem: got %+v, %v, want its route to do", got, err)
	}
	write(t, "lo 00000000 "+hex4("127.0.0.1")+" 0003 0 0 700 00000000 0 0 0\n", dir, "proc/net/route")
	got, err := Prober{}.Gateway(ctx)
	if errors.As(err, new(Unknown)) {
		t.Skip(err)
	}
	if err != nil || got.Value == nil || got.Unit != "ms" {
		t.Errorf("a gateway that answers: got %+v, %v, want milliseconds", got, err)
	}
}

func TestGatewayThatAnswersOnlyARPIsThere(t *testing.T) {
	ctx, dir := copyOf(t, "testdata/pc")
	write(t, "IP address  HW type  Flags  HW address  Mask  Device\n"+
		"192.168.7.1  0x1  0x2  c4:04:15:00:00:01  *  eth0\n"+
		"192.168.7.2  0x1  0x0  00:00:00:00:00:00  *  eth0\n", dir, "proc/net/arp")
	for via, want := range map[string]bool{"192.168.7.1": true, "192.168.7.2": false, "192.168.7.3": false} {
		if got := inARP(treeOf(ctx), route{iface: "eth0", via: netip.MustParseAddr(via)}); got != want {
			t.Errorf("%s: got %v, want %v", via, got, want)
		}
	}
}
