package main

import (
	"os"
	"runtime"
	"runtime/debug"
)

// tune sets the runtime for small boards, where the environment does not. One
// processor at a time is enough for an agent whose steps are other programs:
// idle it wakes up 0.65 instead of 1.6 times a second, and holds 3.7 instead of
// 4.6 MB of its own (scripts/bench idle, amd64). Collecting at GOGC=25 saves a
// megabyte at most, at 100 it costs one or two; neither changes the time that it
// takes. A limit of 12 MiB saves a quarter of the 14 MB of a start with a full
// journal (scripts/bench memory).
func tune() {
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
