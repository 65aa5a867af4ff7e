package telemetry

import (
	"context"
	"os"
	"path/filepath"
	"strings"
)

// Facts are what the device is, as far as it can find out by itself. What it
// cannot find out is empty.
type Facts struct {
	OS      OS     `json:"os"`
	Board   Board  `json:"board"`
	Network []Link `json:"network"`
}

// OS is the system on the device.
type OS struct {
	Name    string `json:"name"`
	Version string `json:"version"`
	Kernel  string `json:"kernel"`
}

// Host reads the facts. They change when something is installed or plugged in.
func Host(ctx context.Context) Facts {
	t := treeOf(ctx)
	return Facts{OS: readOS(t), Board: readBoard(ctx, t), Network: readLinks(t)}
}

// readOS asks OpenWrt's own file first: its os-release may be the vendor's.
func readOS(t tree) OS {
	name, version := release(t, "openwrt_release", "DISTRIB_ID", "DISTRIB_RELEASE")
	if name == "" {
		name, version = release(t, "os-release", "NAME", "VERSION_ID")
	}
	return OS{Name: name, Version: version, Kernel: word(t.proc, "sys/kernel/osrelease")}
}

// release reads two values of a file of shell assignments.
func release(t tree, file, nameKey, versionKey string) (name, version string) {
	text, _ := os.ReadFile(filepath.Join(t.etc, file))
	for row := range strings.Lines(string(text)) {
		key, value, _ := strings.Cut(strings.TrimSpace(row), "=")
		switch value = strings.Trim(value, `"'`); key {
		case nameKey:
			name = value
		case versionKey:
			version = value
		}
	}
	return name, version
}
