package main

import (
	"os"
	"path/filepath"
	"strconv"
	"strings"
)

const (
	// leastMemory, 8 MiB and 12 where a word has 64 bits, is what does 500 waiting
	// jobs with as many collections as there are without a limit. On amd64 8 MiB
	// take twenty times as many and four times the processor, 10 MiB twice that
	// of 11, and spare next to nothing (scripts/bench memory).
	leastMemory = (4 + strconv.IntSize/8) << 20
	// shareOfRAM leaves the rest to what the board is for; half of a control
	// group is for the programs that steps start in it.
	shareOfRAM, shareOfGroup = 8, 2
)

// memoryLimit is what the Go runtime is to stay below, in bursts too: it then
// collects more often, where it would else take memory that a small board has
// not. root is where /proc and /sys lie. 0 is no limit.
func memoryLimit(root string) int64 {
	limit := ramOf(root) / shareOfRAM
	if group := groupLimit(root) / shareOfGroup; group > 0 && (limit == 0 || group < limit) {
		limit = group
	}
	if limit == 0 {
		return 0
	}
	return max(limit, leastMemory)
}

// ramOf is all the RAM of the board, in bytes; 0 if that cannot be told.
func ramOf(root string) int64 {
	text, _ := os.ReadFile(filepath.Join(root, "proc/meminfo"))
	_, rest, _ := strings.Cut("\n"+string(text), "\nMemTotal:")
	line, _, _ := strings.Cut(rest, "\n")
	kib, _ := strconv.ParseInt(strings.TrimSuffix(strings.TrimSpace(line), " kB"), 10, 64)
	return kib << 10
}

// groupLimit is the least bound of the control groups that this process is in,
// of either version; 0 if there is none.
func groupLimit(root string) (least int64) {
	text, _ := os.ReadFile(filepath.Join(root, "proc/self/cgroup"))
	for line := range strings.Lines(string(text)) {
		f := strings.SplitN(strings.TrimSpace(line), ":", 3)
		if len(f) != 3 {
			continue
		}
		tree, file := filepath.Join(root, "sys/fs/cgroup"), "memory.max"
		switch f[1] {
		case "":
		case "memory":
			tree, file = filepath.Join(tree, "memory"), "memory.limit_in_bytes"
		default:
			continue
		}
		for group := filepath.Clean("/" + f[2]); ; group = filepath.Dir(group) {
			text, _ := os.ReadFile(filepath.Join(tree, group, file))
			n, err := strconv.ParseInt(strings.TrimSpace(string(text)), 10, 64) // "max" is no number
			if err == nil && n > 0 && (least == 0 || n < least) {
				least = n
			}
			if group == "/" {
				break
			}
		}
	}
	return least
}
