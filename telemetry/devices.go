package telemetry

import (
	"errors"
	"os"
	"path/filepath"
	"strconv"
	"strings"
)

// A device is a line of the kernel's table of network interfaces.
type device struct {
	name     string
	counters [16]uint64 // since it began
}

// Columns of that table.
const (
	rxBytes, rxPackets, rxErrors, rxDrops = 0, 1, 2, 3
	txBytes, txPackets, txErrors, txDrops = 8, 9, 10, 11
)

// readDevices leaves out a line that is not as it must be: drivers of modems write
// odd ones, and the other interfaces are as good as before.
func readDevices(t tree) ([]device, error) {
	text, err := os.ReadFile(filepath.Join(t.proc, "net/dev"))
	if err != nil {
		return nil, err
	}
	var all []device
	for row := range strings.Lines(string(text)) {
		at := strings.LastIndexByte(row, ':') // the name of an alias holds one too
		f := strings.Fields(row[at+1:])
		d := device{name: strings.TrimSpace(row[:max(at, 0)])}
		if d.name != "" && len(f) >= len(d.counters) && d.read(f) {
			all = append(all, d)
		}
	}
	if len(all) == 0 {
		return nil, errors.New("no line of net/dev can be read")
	}
	return all, nil
}

// read reports whether all that it was given are counters.
func (d *device) read(fields []string) bool {
	for i := range d.counters {
		n, err := strconv.ParseUint(fields[i], 10, 64)
		if err != nil {
			return false
		}
		d.counters[i] = n
	}
	return true
}
