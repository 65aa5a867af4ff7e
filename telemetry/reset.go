package telemetry

import (
	"path/filepath"
	"strconv"
)

// Boot is the running boot: another id is another boot.
type Boot struct {
	ID     string `json:"id"`               // the first eight digits
	Reason string `json:"reason,omitempty"` // why the one before ended: stopped, watchdog, panic or cut
}

// ResetReason is why a boot that did not end in order ended: "watchdog" or
// "panic" where the hardware or the kernel has kept a note of that, else "cut".
func ResetReason() string { return resetReason(host()) }

func resetReason(t tree) string {
	const cardReset = 0x20 // WDIOF_CARDRESET of watchdog.h
	dogs, _ := filepath.Glob(filepath.Join(t.sys, "class/watchdog/watchdog*/bootstatus"))
	for _, file := range dogs {
		status, err := strconv.ParseUint(word(file), 0, 32)
		if err == nil && status&cardReset != 0 {
			return "watchdog"
		}
	}
	if notes, _ := filepath.Glob(filepath.Join(t.sys, "fs/pstore/dmesg-*")); len(notes) > 0 {
		return "panic"
	}
	return "cut"
}
