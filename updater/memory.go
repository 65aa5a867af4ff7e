package updater

import (
	"errors"
	"os"
	"strconv"
	"strings"
)

// Need is how many bytes of memory must be free for Stage to hold a binary of that
// size: it takes 2.3 times as much, since it grows a buffer by a quarter again and
// again. The rest is for whatever else runs.
func Need(size uint64) uint64 { return 4 * size }

// FreeMemory is what this board can still give to programs, in bytes.
func FreeMemory() (uint64, error) {
	text, err := os.ReadFile("/proc/meminfo")
	if err != nil {
		return 0, err
	}
	_, rest, _ := strings.Cut(string(text), "MemAvailable:")
	fields := strings.Fields(rest)
	if len(fields) == 0 {
		return 0, errors.New("/proc/meminfo has no MemAvailable")
	}
	kib, err := strconv.ParseUint(fields[0], 10, 64)
	return kib << 10, err
}
