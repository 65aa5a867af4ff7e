package data

import (
	"errors"
	"fmt"
	"os"
	"runtime"
	"runtime/debug"
	"runtime/metrics"
	"strconv"
	"strings"
	"syscall"
	"time"
)

const (
	softMemory = 12 << 20 // what the collector of a worker aims at
	mostMemory = 20 << 20 // above it a worker is ended
	hardMemory = 24 << 20 // what the kernel grants over what a Go program has at its start
)

var errMemory = fmt.Errorf("the program wants more memory than the %d MiB that it may have: "+
	"let it take its inputs one by one, as in reduce inputs as $r (0; . + $r.n)", mostMemory>>20)

// confine bounds the memory of this process, twice: it looks often how much
// there is and calls end in an orderly way, and for what grows faster than it
// can look the kernel has a limit. The kernel's is on data, not on addresses,
// of which Go reserves plenty and never uses them; before Linux 4.7 it counts
// nothing of what Go takes.
func confine(end func()) error {
	debug.SetTraceback("none")
	debug.SetMemoryLimit(softMemory)
	runtime.GOMAXPROCS(min(2, runtime.NumCPU()))
	go watch(end)
	now, err := dataSize()
	if err != nil {
		return err
	}
	most := now + hardMemory + threadStacks
	if err := syscall.Setrlimit(syscall.RLIMIT_DATA, &syscall.Rlimit{Cur: most, Max: most}); err != nil {
		return fmt.Errorf("bounding the memory: %w", err)
	}
	return nil
}

// watch calls end when the memory is above its bound, also when all that is
// garbage is gone: on a busy board the collector may be late.
func watch(end func()) {
	for range time.Tick(5 * time.Millisecond) {
		if memoryUsed() < mostMemory {
			continue
		}
		if debug.FreeOSMemory(); memoryUsed() > mostMemory {
			end()
		}
	}
}

// memoryUsed is what the Go runtime has of the system.
func memoryUsed() uint64 {
	s := []metrics.Sample{{Name: "/memory/classes/total:bytes"}, {Name: "/memory/classes/heap/released:bytes"}}
	metrics.Read(s)
	return s[0].Value.Uint64() - s[1].Value.Uint64()
}

// dataSize is what this process has of what RLIMIT_DATA bounds.
func dataSize() (uint64, error) {
	text, err := os.ReadFile("/proc/self/status")
	if err != nil {
		return 0, err
	}
	_, rest, _ := strings.Cut(string(text), "\nVmData:")
	fields := strings.Fields(rest)
	if len(fields) == 0 {
		return 0, errors.New("/proc/self/status tells no VmData")
	}
	kib, err := strconv.ParseUint(fields[0], 10, 64)
	return kib << 10, err
}
