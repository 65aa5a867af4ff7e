package step

import (
	"os"
	"strconv"
	"strings"
)

// stat is what /proc/PID/stat says of a process.
type stat struct {
	pid, group int
	state      byte
	start      uint64 // clock ticks since boot
}

// readStat reads it; false when there is no such process.
func readStat(pid int) (stat, bool) {
	data, err := os.ReadFile("/proc/" + strconv.Itoa(pid) + "/stat")
	if err != nil {
		return stat{}, false
	}
	return parseStat(pid, string(data))
}

// parseStat skips the name, which may hold blanks and brackets.
func parseStat(pid int, text string) (stat, bool) {
	f := strings.Fields(text[strings.LastIndexByte(text, ')')+1:])
	if len(f) < 20 {
		return stat{}, false
	}
	group, err := strconv.Atoi(f[2])
	start, err2 := strconv.ParseUint(f[19], 10, 64)
	return stat{pid: pid, group: group, state: f[0][0], start: start}, err == nil && err2 == nil
}

// members are the living processes of a group.
func members(group int) []stat {
	proc, err := os.Open("/proc")
	if err != nil {
		return nil
	}
	defer proc.Close()
	names, _ := proc.Readdirnames(-1)
	var list []stat
	for _, name := range names {
		pid, err := strconv.Atoi(name)
		if err != nil {
			continue
		}
		if s, ok := readStat(pid); ok && s.group == group && s.state != 'Z' && s.state != 'X' {
			list = append(list, s)
		}
	}
	return list
}
