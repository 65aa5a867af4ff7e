package updater

import (
	"fmt"
	"os"
	"path/filepath"
	"slices"
	"strings"
)

// Undecided is the file that is there from before a write until the new system is final
// or the old one runs again; empty where the board keeps nothing. What confirms a system
// at each boot has to leave one alone while it is there.
func (b *Board) Undecided() string {
	if b.Dir == "" {
		return ""
	}
	return filepath.Join(b.Dir, "firmware.trial")
}

// A decider is a service that confirms a new system as soon as it has booted, and so
// decides before the trial does. It must not be switched off for that: a boot loader
// that counts every boot leaves a system that nothing confirms, also one that ran for
// years.
type decider struct {
	backend string // empty: any
	sign    string // a file that shows that it is on
	advice  string // how to leave the decision to the trial; empty: as its form wants
}

var deciders = []decider{
	{sign: "/etc/rc.d/S*bootcount"},
	{backend: "rauc", sign: "/etc/systemd/system/rauc-mark-good.service"}, // it may be masked
	{backend: "rauc", sign: "/etc/systemd/system/*.wants/rauc-mark-good.service"},
	{backend: "rauc", sign: "/usr/lib/systemd/system/*.wants/rauc-mark-good.service"},
	{backend: "rauc", sign: "/lib/systemd/system/*.wants/rauc-mark-good.service"},
	{backend: "rauc", sign: "/etc/rc*.d/S*rauc-mark-good"},
	{sign: "/etc/systemd/system/*.wants/*bootcount*.service"},
	{backend: "mender", sign: "/etc/systemd/system/*.wants/mender-*.service", advice: "the daemon of Mender takes updates and decides on them by itself: disable it, so that there is one who decides"},
}

// Deciders lists what on this board would decide about a new system before the trial
// does, each with how to leave the decision to the trial. Where there is no way back
// there is nothing to decide.
func (b *Board) Deciders(back *Backend) []string {
	var found names
	for _, d := range deciders {
		if !back.Slots || d.backend != "" && d.backend != back.Name {
			continue
		}
		for _, path := range b.glob(d.sign) {
			advice := d.advice
			switch name := filepath.Base(path); {
			case advice != "":
			case strings.HasSuffix(name, ".service"):
				advice = b.unitAdvice(name, strings.HasSuffix(filepath.Dir(path), ".wants"))
			default:
				advice = b.scriptAdvice(path)
			}
			found = found.add(advice)
		}
	}
	return found
}

const keepItOn = "so that the trial decides; do not switch it off, for a boot loader that counts every boot leaves a system that nothing confirms"

// unitAdvice is for a unit of systemd; empty where it heeds Undecided, or is off and
// not masked: then another one may take its place.
func (b *Board) unitAdvice(unit string, on bool) string {
	condition := "ConditionPathExists=!" + b.Undecided()
	if target, _ := os.Readlink(filepath.Join(b.Root, "/etc/systemd/system", unit)); target == "/dev/null" {
		return fmt.Sprintf("%s is masked, and a boot loader that counts every boot (U-Boot, GRUB and barebox, as RAUC uses them) leaves a system that nothing confirms: unmask it, and add %s to its [Unit], in the new system too", unit, condition)
	}
	if !on {
		return ""
	}
	for _, dir := range []string{"/etc/systemd/system/", "/run/systemd/system/", "/usr/lib/systemd/system/", "/lib/systemd/system/"} {
		for _, file := range append(b.glob(dir+unit+".d/*.conf"), dir+unit) {
			if slices.Contains(strings.Split(b.text(file), "\n"), condition) {
				return ""
			}
		}
	}
	return fmt.Sprintf("%s confirms a new system as soon as it booted: add %s to its [Unit], in the new system too, %s", unit, condition, keepItOn)
}

// scriptAdvice is for a script that the boot runs; empty where it heeds Undecided.
func (b *Board) scriptAdvice(path string) string {
	if strings.Contains(b.text(path), b.Undecided()) {
		return ""
	}
	return fmt.Sprintf("%s confirms a new system as soon as it booted: let it begin with [ ! -e %s ] || exit 0, in the new system too, %s", path, b.Undecided(), keepItOn)
}
