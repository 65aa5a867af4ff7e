package telemetry

import (
	"cmp"
	"fmt"
	"os"
	"path/filepath"
	"slices"
	"strconv"
	"strings"
)

// Processes are how many there are, the kernel's own included, and the three
// that hold the most memory.
type Processes struct {
	Count int       `json:"count"`
	Top   []Process `json:"top,omitempty"`
}

// Process is one of those that hold the most memory.
type Process struct {
	Name string `json:"name"` // the kernel's, of at most 15 bytes
	RSS  uint64 `json:"rss"`
}

const topProcesses = 3

// sampleProcesses reads one file for each process, and two for the top three.
// One that ends meanwhile counts as one without memory.
func sampleProcesses(t tree) (*Processes, error) {
	dir, err := os.Open(t.proc)
	if err != nil {
		return nil, fmt.Errorf("listing processes: %w", err)
	}
	defer dir.Close()
	names, err := dir.Readdirnames(-1)
	if err != nil {
		return nil, fmt.Errorf("listing processes: %w", err)
	}
	var out Processes
	for _, name := range names {
		if _, err := strconv.Atoi(name); err == nil {
			out.Count++
			out.insert(Process{name, residentBytes(filepath.Join(t.proc, name))})
		}
	}
	for i := range out.Top {
		out.Top[i].Name = word(t.proc, out.Top[i].Name, "comm")
	}
	return &out, nil
}

// insert holds p among the top, if it belongs there.
func (p *Processes) insert(one Process) {
	if one.RSS == 0 {
		return
	}
	at, _ := slices.BinarySearchFunc(p.Top, one, func(a, b Process) int { return cmp.Compare(b.RSS, a.RSS) })
	if at < topProcesses {
		p.Top = slices.Insert(p.Top, at, one)
		p.Top = p.Top[:min(len(p.Top), topProcesses)]
	}
}

// residentBytes reads the second number of statm, which counts pages.
func residentBytes(dir string) uint64 {
	fields := strings.Fields(word(dir, "statm"))
	if len(fields) < 2 {
		return 0
	}
	pages, _ := strconv.ParseUint(fields[1], 10, 64)
	if !isPlausible("rss", float64(pages)*float64(os.Getpagesize())) {
		return 0
	}
	return pages * uint64(os.Getpagesize())
}
