package telemetry

import (
	"context"
	"os"
	"path/filepath"
	"runtime"
	"strings"

	"github.com/shirou/gopsutil/v3/cpu"
	"github.com/shirou/gopsutil/v3/mem"
)

// Board is the hardware.
type Board struct {
	Model  string `json:"model"`
	Arch   string `json:"arch"` // Go's name for it, such as arm64 or mipsle
	Cores  int    `json:"cores"`
	Memory uint64 `json:"memory"` // bytes
}

func readBoard(ctx context.Context, t tree) Board {
	b := Board{Model: model(t), Arch: runtime.GOARCH}
	b.Cores, _ = cpu.CountsWithContext(ctx, true)
	if m, err := mem.VirtualMemoryWithContext(ctx); err == nil {
		b.Memory = m.Total
	}
	return b
}

// model asks, in this order, the device tree (most boards), OpenWrt's own
// notes (boards older than device trees), the BIOS (PCs) and the processor's
// description (old vendor kernels).
func model(t tree) string {
	for _, name := range []string{
		word(t.proc, "device-tree/model"),
		word(t.root, "tmp/sysinfo/model"),
		dmiModel(t),
		machine(t),
	} {
		if name != "" {
			return name
		}
	}
	return ""
}

// unset is what makers of boards leave in the BIOS.
var unset = []string{"to be filled", "default string", "system product name", "system manufacturer", "not specified", "none", "n/a"}

func dmiModel(t tree) string {
	var parts []string
	for _, file := range []string{"sys_vendor", "product_name"} {
		if s := word(t.sys, "class/dmi/id", file); s != "" && !isUnset(s) {
			parts = append(parts, s)
		}
	}
	return strings.Join(parts, " ")
}

func isUnset(s string) bool {
	for _, u := range unset {
		if strings.HasPrefix(strings.ToLower(s), u) {
			return true
		}
	}
	return false
}

func machine(t tree) string {
	text, _ := os.ReadFile(filepath.Join(t.proc, "cpuinfo"))
	for row := range strings.Lines(string(text)) {
		key, value, _ := strings.Cut(row, ":")
		if key = strings.TrimSpace(key); key == "machine" || key == "Hardware" {
			return strings.TrimSpace(value)
		}
	}
	return ""
}
