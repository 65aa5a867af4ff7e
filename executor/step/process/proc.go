package process

import (
	"errors"
	"os"
	"strconv"
	"strings"
)

// Stat is what /proc/PID/stat says of a process.
type Stat struct {
	pid, parent    int
	group, session int
	state          byte
	Start          uint64 // clock ticks since boot
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
	s := Stat{pid: pid, state: f[0][0]}
	var errs [4]error
	s.parent, errs[0] = strconv.Atoi(f[1])
	s.group, errs[1] = strconv.Atoi(f[2])
	s.session, errs[2] = strconv.Atoi(f[3])
	s.Start, errs[3] = strconv.ParseUint(f[19], 10, 64)
	return s, errors.Join(errs[:]...) == nil
}

// members are the living processes of a group.
func members(group int) (list []Stat) {
	for _, s := range processes() {
		if s.group == group && s.state != 'Z' && s.state != 'X' {
			list = append(list, s)
		}
	}
	return list
}

// processes are all that there are, by id.
func processes() map[int]Stat {
	all := map[int]Stat{}
	proc, err := os.Open("/proc")
	if err != nil {
		return all
	}
	defer proc.Close()
	names, _ := proc.Readdirnames(-1)
	for _, name := range names {
		if pid, err := strconv.Atoi(name); err == nil {
			if s, ok := ReadStat(pid); ok {
				all[pid] = s
			}
		}
	}
	return all
}
