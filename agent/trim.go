package agent

import (
	"os"
	"runtime/debug"
	"strconv"
	"strings"
	"syscall"
)

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
