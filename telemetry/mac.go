package telemetry

import (
	"errors"
	"path/filepath"
	"slices"
	"strings"
)

// PermanentMAC is the lowest of the addresses that the maker gave the board's
// network hardware, in lower-case hex without colons. A board keeps it for life,
// so a device id can be made from it.
func PermanentMAC() (string, error) { return permanentMAC(host()) }

func permanentMAC(t tree) (string, error) {
	var own, assigned []string
	dirs, _ := filepath.Glob(filepath.Join(t.sys, "class/net/*"))
	for _, dir := range dirs {
		m := strings.ReplaceAll(mac(t, filepath.Base(dir)), ":", "")
		if len(m) != 12 || !exists(dir, "device") {
			continue
		}
		switch kind := word(dir, "addr_assign_type"); {
		case kind == "0":
			own = append(own, m)
		case kind == "3" && universal(m):
			assigned = append(assigned, m)
		}
	}
	// Start scripts of routers set the maker's address, read from flash, on
	// hardware that has none of its own.
	if len(own) == 0 {
		own = assigned
	}
	if len(own) == 0 {
		return "", errors.New(`this board has no permanent network address to make a device id from: set device = "..." in ratchet.toml`)
	}
	return slices.Min(own), nil
}

// universal reports whether an address is a maker's, and not made up by software.
func universal(mac string) bool { return strings.ContainsRune("048c", rune(mac[1])) }
