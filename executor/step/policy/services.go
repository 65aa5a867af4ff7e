package policy

import (
	"fmt"
	"path/filepath"
	"slices"
	"strings"
)

// unitTypes are the sorts of units that do work of their own. Others are the
// board itself: a target or a slice that is started or stopped takes half the
// system along, a mount its files.
var unitTypes = []string{".service", ".socket", ".timer", ".path"}

// ofTheBoard are services of those sorts, and scripts of procd, that take the
// board down all the same, or open it to whoever sits before it, or is in its network.
var ofTheBoard = []string{
	"*poweroff*", "*reboot*", "*halt*", "*kexec*", "*shutdown*", "*suspend*", "*hibernate*", "*sleep*", "*rescue*", "*emergency*",
	"debug-shell", "console-shell", "single", "sulogin*", "system-update*", "*factory-reset*", "systemd-tpm2-clear", "systemd-storagetm", "systemd-journal-gatewayd", "initrd-*", "umount", "boot", "systemd-exit",
}

// Service says why a job may not start, stop or otherwise touch a unit of systemd
// or a service of procd, or nil.
func (p Policy) Service(name string) error {
	whole := name
	if !slices.Contains(unitTypes, filepath.Ext(name)) && !otherUnit(name) {
		whole += ".service" // as systemctl has it
	}
	plain := strings.TrimSuffix(whole, filepath.Ext(whole))
	matches := func(pattern string) bool {
		return covers(pattern, name) || covers(pattern, whole) || covers(pattern, plain)
	}
	switch {
	case p.Services != nil && slices.ContainsFunc(p.Services, matches):
		return nil
	case p.Services != nil:
		return fmt.Errorf("%s: policy.services does not allow it", name)
	case !slices.Contains(unitTypes, filepath.Ext(whole)):
		return fmt.Errorf("%s: a unit of this sort is the board itself: policy.services must name it", name)
	case slices.ContainsFunc(ofTheBoard, func(pattern string) bool { return covers(pattern, plain) }):
		return fmt.Errorf("%s: it takes the board down or opens it: policy.services must name it", name)
	}
	return nil
}

// otherUnit reports whether a name is that of a unit which is no service.
func otherUnit(name string) bool {
	return slices.Contains([]string{".target", ".slice", ".scope", ".mount", ".automount", ".swap", ".device", ".snapshot"}, filepath.Ext(name))
}
