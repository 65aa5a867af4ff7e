package process

import (
	"os"
	"strconv"
	"syscall"
)

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
