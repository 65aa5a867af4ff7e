package telemetry

import (
	"bufio"
	"context"
	"os"
	"path/filepath"
	"slices"
	"strings"
	"sync"
	"time"
)

// Packages finds the versions of installed packages. It reads the databases of
// opkg, apk and dpkg by itself, which costs no process, and reads them again
// only when one has changed. The zero value is ready to use, by several goroutines.
type Packages struct {
	mu    sync.Mutex
	names []string // that known was read for
	of    []fileStamp
	known map[string]string
}

// fileStamp is what a file had when it was read; of one that is absent, nothing.
type fileStamp struct {
	changed time.Time
	size    int64
}

// A packageList is the database of a package manager: paragraphs of one package
// each, in lines of a key and a value.
type packageList struct {
	path                  string // below the root
	name, version, status string // the keys; without a status, all that stands there is installed
}

// packageLists are all that a device may have. Yocto's opkg keeps its own below
// /var, OpenWrt's does not, for there it is RAM.
var packageLists = []packageList{
	{"usr/lib/opkg/status", "Package: ", "Version: ", "Status: "},
	{"var/lib/opkg/status", "Package: ", "Version: ", "Status: "},
	{"lib/apk/db/installed", "P:", "V:", ""},
	{"var/lib/dpkg/status", "Package: ", "Version: ", "Status: "},
}

// Versions returns the versions of those of the named packages that are installed.
func (p *Packages) Versions(ctx context.Context, names []string) map[string]string {
	if len(names) == 0 {
		return map[string]string{}
	}
	p.mu.Lock()
	defer p.mu.Unlock()
	root := treeOf(ctx).root
	var now []fileStamp
	for _, l := range packageLists {
		now = append(now, stampOf(filepath.Join(root, l.path)))
	}
	if p.known != nil && slices.Equal(p.names, names) && slices.Equal(p.of, now) {
		return p.known
	}
	p.names, p.of, p.known = slices.Clone(names), now, map[string]string{}
	for _, l := range packageLists {
		l.read(root, func(name, version string) {
			if _, told := p.known[name]; !told && slices.Contains(names, name) {
				p.known[name] = version
			}
		})
	}
	return p.known
}

func stampOf(path string) fileStamp {
	info, err := os.Stat(path)
	if err != nil {
		return fileStamp{}
	}
	return fileStamp{info.ModTime(), info.Size()}
}

// read gives each package that is installed.
func (l packageList) read(root string, each func(name, version string)) {
	file, err := os.Open(filepath.Join(root, l.path))
	if err != nil {
		return // this device has another manager
	}
	defer file.Close()
	var name, version, status string
	end := func() {
		if version != "" && (l.status == "" || isInstalled(status)) {
			each(name, version)
		}
		name, version, status = "", "", ""
	}
	rows := bufio.NewScanner(file)
	rows.Buffer(nil, 1<<20) // for long lines of dependencies
	for rows.Scan() {
		row := rows.Text()
		switch {
		case row == "":
			end()
		case strings.HasPrefix(row, l.name):
			name = row[len(l.name):]
		case strings.HasPrefix(row, l.version):
			version = row[len(l.version):]
		case strings.HasPrefix(row, l.status):
			status = row[len(l.status):]
		}
	}
	end()
}

// isInstalled reads "install ok installed". What only waits for the trigger of
// another package works too.
func isInstalled(status string) bool {
	f := strings.Fields(status)
	return len(f) == 3 && (f[2] == "installed" || strings.HasPrefix(f[2], "triggers-"))
}
