package telemetry

import (
	"encoding/json"
	"runtime"
	"strings"
	"testing"
)

func TestFactsNameTheSystemAndTheBoard(t *testing.T) {
	for _, c := range []struct {
		dir   string
		os    OS
		board Board
	}{
		{"testdata/router", OS{"OpenWrt", "23.05.3", "5.15.150"}, Board{"TP-LINK TL-WDR3600", runtime.GOARCH, 1, 60000 << 10}},
		{"testdata/pc", OS{"Debian GNU/Linux", "12", "6.1.0-30-amd64"}, Board{"LENOVO 20HF", runtime.GOARCH, 2, 8000000 << 10}},
	} {
		got, err := Host(board(c.dir))
		if err != nil {
			t.Errorf("%s: %v", c.dir, err)
		}
		if got.OS != c.os {
			t.Errorf("%s: got os %+v, want %+v", c.dir, got.OS, c.os)
		}
		if got.Board != c.board {
			t.Errorf("%s: got board %+v, want %+v", c.dir, got.Board, c.board)
		}
	}
}

func TestFactsHaveTheFieldsOfTheContract(t *testing.T) {
	f := Facts{OS{"a", "1", "k"}, Board{"m", "arm64", 4, 1024}, []Link{{"eth0", []string{"192.0.2.7"}, "00:50:b6:00:00:01"}}}
	got, err := json.Marshal(f)
	if err != nil {
		t.Fatal(err)
	}
	want := `{"os":{"name":"a","version":"1","kernel":"k"},"board":{"model":"m","arch":"arm64","cores":4,"memory":1024},` +
		`"network":[{"name":"eth0","addresses":["192.0.2.7"],"mac":"00:50:b6:00:00:01"}]}`
	if string(got) != want {
		t.Errorf("got %s, want %s", got, want)
	}
}

func TestBoardsNameComesFromWhoKnowsItBest(t *testing.T) {
	_, dir := copyOf(t, "testdata/router")
	for _, c := range []struct{ file, text, want string }{
		{"sys/class/dmi/id/sys_vendor", "To Be Filled By O.E.M.\n", "TP-LINK TL-WDR3600"},
		{"sys/class/dmi/id/product_name", "APU2\n", "APU2"},
		{"tmp/sysinfo/model", "PC Engines APU2\n", "PC Engines APU2"},
		{"proc/device-tree/model", "Raspberry Pi 4 Model B\x00", "Raspberry Pi 4 Model B"},
	} {
		write(t, c.text, dir, c.file)
		if got := model(treeOf(board(dir))); got != c.want {
			t.Errorf("with %s: got %q, want %q", c.file, got, c.want)
		}
	}
}

func TestDeviceIDComesFromTheMakersLowestAddress(t *testing.T) {
	for dir, want := range map[string]string{"testdata/pc": "001b77000009", "testdata/router": "647002aabb02"} {
		if got, err := permanentMAC(treeOf(board(dir))); got != want || err != nil {
			t.Errorf("%s: got %q, %v; want %q", dir, got, err, want)
		}
	}
}

func TestABoardWithoutAnAddressOfItsOwnMustBeNamed(t *testing.T) {
	dir := t.TempDir()
	write(t, "02:42:ac:11:00:02\n", dir, "sys/class/net/eth0/address")
	write(t, "3\n", dir, "sys/class/net/eth0/addr_assign_type")
	write(t, "", dir, "sys/class/net/eth0/device/uevent")
	got, err := permanentMAC(treeOf(board(dir)))
	if err == nil || !strings.Contains(err.Error(), "set device =") {
		t.Errorf("got %q, %v; want an error that says what to do", got, err)
	}
}
