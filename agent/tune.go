package agent

import (
	"os"
	"runtime"
	"runtime/debug"
	"strconv"
	"strings"
	"syscall"
)

// Tune sets the runtime for small boards, where the environment does not. One
// processor at a time is enough for an agent whose steps are other programs:
// idle it wakes up 0.65 instead of 1.6 times a second, and holds 3.7 instead of
// 4.6 MB of its own (scripts/bench idle, amd64). Collecting at GOGC=25 saves a
// megabyte at most, at 100 it costs one or two; neither changes the time that it
// takes. A limit of 12 MiB saves a quarter of the 14 MB of a start with a full
// journal (scripts/bench memory).
func Tune() {
	if os.Getenv("GOMAXPROCS") == "" {
		runtime.GOMAXPROCS(1)
	}
	if os.Getenv("GOGC") == "" {
		debug.SetGCPercent(50)
	}
	if limit := memoryLimit("/"); limit > 0 && os.Getenv("GOMEMLIMIT") == "" {
		debug.SetMemoryLimit(limit)
	}
}

// Seal keeps the descriptors with which this process was started, of whoever
// started it, from the programs that it runs. Go's own are sealed anyway.
func Seal() {
	open, _ := os.ReadDir("/proc/self/fd") // without /proc there is no agent
	for _, f := range open {
		if fd, err := strconv.Atoi(f.Name()); err == nil && fd > 2 {
			syscall.CloseOnExec(fd)
		}
	}
}

// trim gives back what a burst of work, such as a start or a job, has taken:
// free heap, and the pages of the program itself, which stay in the page cache
// and are mapped again when they are needed. Without it an idle agent would
// count everything that it ever ran.
func trim() {
	debug.FreeOSMemory()
	maps, err := os.ReadFile("/proc/self/maps")
	exe, exeErr := os.Readlink("/proc/self/exe")
	if err != nil || exeErr != nil {
		return
	}
	for line := range strings.Lines(string(maps)) {
		f := strings.Fields(line)
		if len(f) != 6 || f[5] != exe || !strings.HasPrefix(f[1], "r-") {
			continue
		}
		from, to, _ := strings.Cut(f[0], "-")
		low, err := strconv.ParseUint(from, 16, 64)
		high, err2 := strconv.ParseUint(to, 16, 64)
		if err == nil && err2 == nil {
			// An error costs nothing but the memory.
			_, _, _ = syscall.Syscall(syscall.SYS_MADVISE, uintptr(low), uintptr(high-low), syscall.MADV_DONTNEED)
		}
	}
}
