package telemetry

import (
	"fmt"
	"strconv"
	"strings"
	"syscall"
	"time"
)

// A clock is what the board says about its own clock.
type clock struct {
	synchronised bool // by NTP, as the kernel sees it
	rtc          bool // it runs on while the power is off
	openWrt      bool // where a clock without RTC starts in the past
	uptime       time.Duration
}

// ClockSane reports whether the wall clock's now can be believed: it is not
// below floor, which is a time that has certainly passed, and there is a reason
// to think that somebody has set it. After ten minutes none is asked for any
// more: a board with neither RTC nor NTP must do its work too.
func ClockSane(now, floor time.Time) bool {
	sane, _ := ClockState(now, floor)
	return sane
}

// ClockState is ClockSane and the reason, for people.
func ClockState(now, floor time.Time) (sane bool, why string) {
	return readClock(host()).state(now, floor)
}

const believedAfter = 10 * time.Minute

func (c clock) state(now, floor time.Time) (sane bool, why string) {
	switch {
	case now.Before(floor):
		return false, "it shows a time that has certainly passed"
	case c.synchronised:
		return true, "synchronised"
	case c.rtc:
		return true, "the board has one that runs on while it is off"
	case !c.openWrt:
		return true, "the system keeps it"
	case c.uptime >= believedAfter:
		return true, "nobody has set it for " + believedAfter.String() + ", so it is believed"
	}
	return false, "not synchronised yet"
}

func readClock(t tree) clock {
	seconds, _ := uptime(t)
	return clock{
		synchronised: kernelSynchronised(),
		rtc:          exists(t.sys, "class/rtc/rtc0"),
		openWrt:      isOpenWrt(t),
		uptime:       time.Duration(seconds) * time.Second,
	}
}

// kernelSynchronised asks without setting anything, for which no right is needed.
func kernelSynchronised() bool {
	const timeError = 5 // TIME_ERROR of timex.h
	state, err := syscall.Adjtimex(&syscall.Timex{})
	return err == nil && state != timeError
}

// ClockSynchronised reports whether NTP has set the clock, as the kernel sees it.
func ClockSynchronised() bool { return kernelSynchronised() }

// OpenWrt reports whether the system is one, where /var is RAM and the clock may be wrong.
func OpenWrt() bool { return isOpenWrt(host()) }

func isOpenWrt(t tree) bool { return exists(t.etc, "openwrt_release") }

// BootID is another one after every boot, whatever the clock says.
func BootID() (string, error) {
	id, err := line(host().proc, "sys/kernel/random/boot_id")
	if err != nil {
		return "", fmt.Errorf("reading the boot id: %w", err)
	}
	return id, nil
}

// uptime is in whole seconds since the boot.
func uptime(t tree) (int64, error) {
	text, err := line(t.proc, "uptime")
	if err != nil {
		return 0, fmt.Errorf("reading the uptime: %w", err)
	}
	whole, _, _ := strings.Cut(text, ".")
	seconds, err := strconv.ParseInt(whole, 10, 64)
	if err != nil {
		return 0, fmt.Errorf("reading the uptime: %w", err)
	}
	if !isPlausible("uptime", float64(seconds)) {
		return 0, fmt.Errorf("reading the uptime: %d seconds are none", seconds)
	}
	return seconds, nil
}
