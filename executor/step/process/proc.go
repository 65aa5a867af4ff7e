package process

import (
	"os"
	"strconv"
	"strings"
)

// Stat is what /proc/PID/stat says of a process.
type Stat struct {
	pid, group int
	state      byte
	Start      uint64 // clock ticks since boot
}

// ReadStat reads it; false when there is no such process.
func ReadStat(pid int) (Stat, bool) {
	data, err := os.ReadFile("/proc/" + strconv.Itoa(pid) + "/stat")
	if err != nil {
		return Stat{}, false
	}
	return parseStat(pid, string(data))
}

// parseStat skips the name, which may hold blanks and brackets.
func parseStat(pid int, text string) (Stat, bool) {
	f := strings.Fields(text[strings.LastIndexByte(text, ')')+1:])
	if len(f) < 20 {
		return Stat{}, false
	}
	group, err := strconv.Atoi(f[2])
	start, err2 := strconv.ParseUint(f[19], 10, 64)
	return Stat{pid: pid, group: group, state: f[0][0], Start: start}, err == nil && err2 == nil
}

// members are the living processes of a group.
func members(group int) []Stat {
	proc, err := os.Open("/proc")
	if err != nil {
		return nil
	}
	defer proc.Close()
	names, _ := proc.Readdirnames(-1)
	var list []Stat
	for _, name := range names {
		pid, err := strconv.Atoi(name)
		if err != nil {
			continue
		}
		if s, ok := ReadStat(pid); ok && s.group == group && s.state != 'Z' && s.state != 'X' {
			list = append(list, s)
		}
	}
	return list
}
