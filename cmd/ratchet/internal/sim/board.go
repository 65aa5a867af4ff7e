package sim

import (
	"fmt"

	"github.com/ratchetd/ratchet/telemetry"
)

// A plan of boards: what is common in fleets of gateways and routers.
var (
	models = []telemetry.Board{
		{Model: "TP-Link Archer C7 v5", Arch: "mips", Cores: 1, Memory: 128 << 20},
		{Model: "GL.iNet GL-MT300N-V2", Arch: "mipsle", Cores: 1, Memory: 128 << 20},
		{Model: "Raspberry Pi 4 Model B", Arch: "arm64", Cores: 4, Memory: 2 << 30},
		{Model: "BeagleBone Black", Arch: "arm", Cores: 1, Memory: 512 << 20},
		{Model: "PC Engines APU2", Arch: "amd64", Cores: 4, Memory: 4 << 30},
	}
	systems = []telemetry.OS{
		{Name: "OpenWrt", Version: "23.05.5", Kernel: "5.15.167"},
		{Name: "OpenWrt", Version: "24.10.0", Kernel: "6.6.73"},
		{Name: "Debian GNU/Linux", Version: "12", Kernel: "6.1.0-28"},
		{Name: "Debian GNU/Linux", Version: "13", Kernel: "6.12.6"},
		{Name: "Debian GNU/Linux", Version: "12", Kernel: "6.1.0-27"},
	}
	sites = []string{"berlin", "hamburg", "leipzig", "munich", "ulm"}
)

// boardOf is the board of a device; the seed chooses it.
func boardOf(seed int64, id string) telemetry.Facts {
	i := int(draw(seed, "board", id) * float64(len(models)))
	return telemetry.Facts{Board: models[i], OS: systems[i], Network: []telemetry.Link{
		{Name: "eth0", Addresses: []string{address(seed, id)}, MAC: fmt.Sprintf("02:00:00:%02x:%02x:%02x", octet(seed, id, "a"), octet(seed, id, "b"), octet(seed, id, "c"))},
	}}
}

func address(seed int64, id string) string {
	return fmt.Sprintf("10.%d.%d.%d/16", octet(seed, id, "x"), octet(seed, id, "y"), octet(seed, id, "z"))
}

func octet(seed int64, id, which string) int { return int(draw(seed, which, id) * 250) }

// tagsOf are the tags of a device, as its configuration has them. One in twenty is
// a canary.
func tagsOf(seed int64, id string) (site, ring string) {
	ring = "wide"
	if draw(seed, "ring", id) < 0.05 {
		ring = "canary"
	}
	return sites[int(draw(seed, "site", id)*float64(len(sites)))], ring
}
