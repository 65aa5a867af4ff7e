package updater

import (
	"os"
	"path/filepath"
)

// deciders are services that confirm a new system as soon as it has booted, and so
// decide before the trial does. sign is a file that shows that one is on; advice is
// how to leave the decision to the trial.
var deciders = []struct{ backend, sign, advice string }{
	{"", "/etc/rc.d/S*bootcount", "OpenWrt's service bootcount confirms a new system as soon as it booted: run /etc/init.d/bootcount disable, so that the trial decides"},
	{"rauc", "/etc/systemd/system/*.wants/rauc-mark-good.service", raucMarks},
	{"rauc", "/usr/lib/systemd/system/*.wants/rauc-mark-good.service", raucMarks},
	{"rauc", "/lib/systemd/system/*.wants/rauc-mark-good.service", raucMarks},
	{"rauc", "/etc/rc*.d/S*rauc-mark-good", "the service rauc-mark-good confirms a new system as soon as it booted: take it out of the boot, so that the trial decides"},
	{"", "/etc/systemd/system/*.wants/*bootcount*.service", "a service resets U-Boot's bootcount as soon as it booted: disable it, so that the trial decides"},
	{"mender", "/etc/systemd/system/*.wants/mender-*.service", "the daemon of Mender takes updates and decides on them by itself: disable it, so that there is one who decides"},
}

const raucMarks = "rauc-mark-good.service confirms a new system as soon as it booted: run systemctl mask rauc-mark-good.service, so that the trial decides"

// Deciders lists what on a board with this backend would decide about a new system
// before the trial does, each with how to leave the decision to the trial.
func (b *Board) Deciders(backend string) []string {
	target, _ := os.Readlink(filepath.Join(b.Root, "/etc/systemd/system/rauc-mark-good.service")) // none: it is not masked
	var found names
	for _, m := range deciders {
		masked := m.advice == raucMarks && target == "/dev/null"
		if (m.backend == "" || m.backend == backend) && !masked && len(b.glob(m.sign)) > 0 {
			found = found.add(m.advice)
		}
	}
	return found
}
