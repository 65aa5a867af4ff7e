package telemetry

import (
	"net/netip"
	"os"
	"path/filepath"
	"reflect"
	"testing"
)

func TestSocketsAreReadFromTheKernelsTables(t *testing.T) {
	if !littleEndian {
		t.Skip("the table is one of a little-endian machine")
	}
	tr := tree{proc: t.TempDir()}
	const head = "  sl  local_address rem_address   st tx_queue\n"
	for name, rows := range map[string]string{
		"tcp":  head + "   0: 00000000:0016 00000000:0000 0A 0:0\n   1: 0107A8C0:C350 08080808:01BB 01 0:0\n   2: 0100007F:1F90 00000000:0000 06 0:0\n",
		"tcp6": head + "   0: 00000000000000000000000000000000:0016 00000000000000000000000000000000:0000 0A 0:0\n   1: 0000000000000000FFFF00000107A8C0:C351 0000000000000000FFFF000008080808:01BB 01 0:0\n",
		"udp":  head + "   0: 0107A8C0:0043 00000000:0000 07 0:0\n",
		"dev":  "Inter-| Receive | Transmit\n face |bytes packets\n    lo: 9 9 0 0 0 0 0 0 9 9 0 0 0 0 0 0\n  eth0: 100 2 0 0 0 0 0 0 50 1 0 0 0 0 0 0\n wlan0:10 1 0 0 0 0 0 0 5 1 0 0 0 0 0 0\n",
	} {
		if err := os.MkdirAll(filepath.Join(tr.proc, "net"), 0o700); err != nil {
			t.Fatal(err)
		}
		if err := os.WriteFile(filepath.Join(tr.proc, "net", name), []byte(rows), 0o600); err != nil {
			t.Fatal(err)
		}
	}
	got, err := readSockets(tr, map[netip.Addr]string{netip.MustParseAddr("192.168.7.1"): "br-lan"})
	want := Sockets{TCP: []Socket{{Port: 22}}, UDP: []Socket{{Interface: "br-lan", Port: 67}}, Established: []Socket{
		{"br-lan", 50000, "8.8.8.8:443"}, {"br-lan", 50001, "8.8.8.8:443"}}}
	if err != nil || !reflect.DeepEqual(got, want) {
		t.Errorf("got %+v, %v, want %+v", got, err, want)
	}
	sum, err := readTraffic(tr)
	if want := (Traffic{110, 55, 3, 2}); err != nil || sum != want {
		t.Errorf("got %+v, %v, want %+v: the loopback aside", sum, err, want)
	}
	if got, want := sum.Since(Traffic{100, 60, 1, 1}), (Traffic{10, 55, 2, 1}); got != want {
		t.Errorf("got %+v, want %+v: what began again counts from zero", got, want)
	}
}

func TestThisDevicesOwnSocketsCanBeRead(t *testing.T) {
	if _, err := ReadSockets(); err != nil {
		t.Error(err)
	}
	if _, err := ReadTraffic(); err != nil {
		t.Error(err)
	}
}
