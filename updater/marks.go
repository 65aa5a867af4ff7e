package updater

import (
	"os"
	"path/filepath"
	"strings"
)

// marks are services that call a new system good as soon as it has booted, and
// so take the decision from the trial: a file that shows that one is on, and
// how to hand the decision over.
var marks = []struct{ sign, advice string }{
	{"/etc/rc.d/S*bootcount", "OpenWrt's service bootcount confirms a new system as soon as it booted: run /etc/init.d/bootcount disable, so that the trial decides"},
	{"/etc/systemd/system/*.wants/rauc-mark-good.service", "rauc-mark-good.service confirms a new system as soon as it booted: run systemctl mask rauc-mark-good.service, so that the trial decides"},
	{"/usr/lib/systemd/system/*.wants/rauc-mark-good.service", "rauc-mark-good.service confirms a new system as soon as it booted: run systemctl mask rauc-mark-good.service, so that the trial decides"},
	{"/etc/rc*.d/S*rauc-mark-good", "the service rauc-mark-good confirms a new system as soon as it booted: take it out of the boot, so that the trial decides"},
	{"/etc/systemd/system/*.wants/*bootcount*.service", "a service resets U-Boot's bootcount as soon as it booted: disable it, so that the trial decides"},
	{"/etc/systemd/system/*.wants/mender-*.service", "the daemon of Mender takes updates and decides on them by itself: disable it, so that there is one who decides"},
}

// Marks says what on this board would decide about a new system before the
// trial does, and how to hand the decision to the trial.
func (b *Board) Marks() (list []string) {
	target, _ := os.Readlink(filepath.Join(b.Root, "/etc/systemd/system/rauc-mark-good.service"))
	masked := target == "/dev/null"
	var found names
	for _, m := range marks {
		if masked && strings.Contains(m.sign, "systemd") && strings.Contains(m.sign, "rauc") {
			continue
		}
		if len(b.glob(m.sign)) > 0 {
			found = found.add(m.advice)
		}
	}
	return found
}
