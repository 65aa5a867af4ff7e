package telemetry

import (
	"context"
	"net"
	"net/netip"
	"slices"
	"testing"
	"testing/synctest"
	"time"
)

func TestVirtualInterfacesAreLeftOut(t *testing.T) {
	for dir, want := range map[string][]string{
		"testdata/router": {"br-lan", "eth0", "eth0.2"},
		"testdata/pc":     {"eth0", "ppp0"},
	} {
		ctx := board(dir)
		var n traffic
		list, err := n.sample(treeOf(ctx))
		if err != nil {
			t.Fatal(err)
		}
		var got []string
		for _, i := range list {
			got = append(got, i.Name)
		}
		if !slices.Equal(got, want) {
			t.Errorf("%s: got %q, want %q", dir, got, want)
		}
	}
}

func TestContainerShowsTheInterfacesThatItHas(t *testing.T) {
	dir := t.TempDir()
	write(t, "772\n", dir, "sys/class/net/lo/type")
	write(t, "1\n", dir, "sys/class/net/eth0/type")
	got := realInterfaces(treeOf(board(dir)), []string{"lo", "eth0", "bonding_masters"})
	if want := []string{"eth0"}; !slices.Equal(got, want) {
		t.Errorf("got %q, want %q", got, want)
	}
}

func TestInterfacesThatStackInACircleEnd(t *testing.T) {
	dir := t.TempDir()
	write(t, "", dir, "sys/class/net/a/lower_b/uevent")
	write(t, "", dir, "sys/class/net/b/lower_a/uevent")
	if isReal(treeOf(board(dir)), "a", 4) {
		t.Error("got real, want virtual")
	}
}

func TestACounterThatBeganAgainGivesNoRate(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		n := traffic{at: time.Now(), last: []Interface{{Name: "wwan0", RxBytes: 500, TxBytes: 100}}}
		time.Sleep(4 * time.Second)
		got := n.rated(Interface{Name: "wwan0", RxBytes: 20, TxBytes: 300}, time.Now())
		if got.RxRate != nil || got.TxRate == nil || *got.TxRate != 50 {
			t.Errorf("got rx %v, tx %v; want none and 50", got.RxRate, got.TxRate)
		}
		if fresh := n.rated(Interface{Name: "usb0"}, time.Now()); fresh.RxRate != nil {
			t.Errorf("got %v for an interface seen first, want no rate", *fresh.RxRate)
		}
	})
}

func TestTemporaryAddressesAreLeftOut(t *testing.T) {
	passing := temporary(treeOf(board("testdata/pc")))
	list := []netip.Addr{
		netip.MustParseAddr("2001:db8::1234:5678:abcd:ef01"),
		netip.MustParseAddr("2001:db8::250:b6ff:fe00:1"),
		netip.MustParseAddr("192.0.2.7"),
	}
	got := lasting(list, passing)
	if want := []string{"192.0.2.7", "2001:db8::250:b6ff:fe00:1"}; !slices.Equal(got, want) {
		t.Errorf("got %q, want %q", got, want)
	}
}

func needInterfaces(t *testing.T) {
	t.Helper()
	if _, err := net.Interfaces(); err != nil {
		t.Skip("the kernel's answer cannot be read, as under qemu-user for big-endian processors:", err)
	}
}

func TestLoopbackOfThisMachineHasItsAddress(t *testing.T) {
	needInterfaces(t)
	if got := addresses("lo"); !slices.Contains(got, netip.MustParseAddr("127.0.0.1")) {
		t.Errorf("got %v, want 127.0.0.1 among them", got)
	}
	f, err := Host(context.Background())
	if err != nil {
		t.Error(err)
	}
	for _, l := range f.Network {
		if l.Name == "lo" {
			t.Error("loopback is among the facts")
		}
	}
}
