package packages

import (
	"context"
	"fmt"
	"maps"
	"regexp"
	"slices"
	"strings"
)

// A found package is on the device, perhaps in pieces.
type found struct {
	version    string
	unsound    bool // not configured, or not even unpacked
	bad        bool // the manager wants it installed again before anything else
	hold       bool
	dependency bool // nobody asked for it by its name
	provides   []string
}

// installed are the packages of a device by their names; dpkg's foreign ones are
// name:architecture.
type installed map[string]found

var apkLine = regexp.MustCompile(`^(\S+)-([0-9][^- ]*(?:-r[0-9]+)?)( |$)`)

// readApk reads "web-1.0-r1 x86_64 {web} (MIT) [installed]".
func readApk(text string) installed {
	all := installed{}
	for line := range strings.Lines(text) {
		if m := apkLine.FindStringSubmatch(strings.TrimSpace(line)); m != nil {
			all[m[1]] = found{version: m[2]}
		}
	}
	return all
}

// readStatus reads the stanzas of `opkg status`.
func readStatus(text string) installed {
	all := installed{}
	for stanza := range strings.SplitSeq(text, "\n\n") {
		f := fields(stanza)
		status := strings.Fields(f["Status"])
		if f["Package"] == "" || len(status) != 3 || status[2] == "not-installed" {
			continue
		}
		all[f["Package"]] = found{
			version: f["Version"], unsound: status[2] != "installed",
			hold: slices.Contains(strings.Split(status[1], ","), "hold"), provides: names(f["Provides"]),
		}
	}
	return all
}

// fields are those of one stanza.
func fields(stanza string) map[string]string {
	f := map[string]string{}
	for line := range strings.Lines(stanza) {
		if name, value, ok := strings.Cut(line, ":"); ok && !strings.HasPrefix(line, " ") {
			f[name] = strings.TrimSpace(value)
		}
	}
	return f
}

const dpkgFormat = "${Package}\t${Architecture}\t${Version}\t${db:Status-Want}\t${db:Status-Status}\t${db:Status-Eflag}\t${Provides}\n"

// readDpkg reads lines of dpkgFormat, and all names as if they were foreign.
func (k Kind) readDpkg(text string) installed {
	all := installed{}
	for line := range strings.Lines(text) {
		f := strings.Split(strings.TrimRight(line, "\n"), "\t")
		if len(f) != 7 || f[4] == "not-installed" || f[4] == "config-files" && f[5] == "ok" {
			continue
		}
		all[f[0]+":"+f[1]] = found{
			version: f[2], unsound: f[4] != "installed", hold: f[3] == "hold", provides: names(f[6]),
			bad: f[5] != "ok" || f[4] == "half-installed",
		}
	}
	return all
}

// names are those of a list such as "wget (= 1.2), tool".
func names(list string) (all []string) {
	for item := range strings.SplitSeq(list, ",") {
		if name, _, _ := strings.Cut(strings.TrimSpace(item), " "); name != "" {
			all = append(all, name)
		}
	}
	return all
}

// installed asks what is installed.
func (p *packing) installed(ctx context.Context) (installed, error) {
	text, err := p.ask(ctx, p.list)
	if err != nil {
		return nil, fmt.Errorf("asking what is installed: %w", err)
	}
	all := p.read(text)
	switch p.name {
	case "apk":
		return p.wantedByWorld(all)
	case "apt":
		return p.native(ctx, all)
	}
	return all, nil
}

// native drops the device's own architecture from the names, and marks what is
// there only for another's sake.
func (p *packing) native(ctx context.Context, foreign installed) (installed, error) {
	if p.arch == "" {
		said, err := p.ask(ctx, p.dpkg("--print-architecture"))
		if err != nil {
			return nil, fmt.Errorf("asking for the architecture: %w", err)
		}
		p.arch = strings.TrimSpace(said)
	}
	all := installed{}
	for name, it := range foreign {
		all[p.key(name)] = it
	}
	said, err := p.ask(ctx, p.beside("apt-mark", "showauto"))
	if err != nil {
		return nil, fmt.Errorf("asking what is there as a dependency: %w", err)
	}
	for line := range strings.Lines(said) {
		if it, ok := all[p.key(strings.TrimSpace(line))]; ok {
			it.dependency = true
			all[p.key(strings.TrimSpace(line))] = it
		}
	}
	return all, nil
}

// key is a package's name without the device's own architecture.
func (p *packing) key(name string) string {
	if base, arch, ok := strings.Cut(name, ":"); ok && (arch == p.arch || arch == "all") {
		return base
	}
	return name
}

// provider is a sound package that stands for the name of another, or "". Of
// several one is preferred that was asked for.
func (p *packing) provider(ctx context.Context, now installed, w wanted) string {
	if p.name == "apk" {
		said, err := p.ask(ctx, argvWith(p.Apk, "apk")("info", "--exists", w.String()))
		if name, _, _ := strings.Cut(strings.TrimSpace(said), "\n"); err == nil && name != w.name {
			if _, ok := now[name]; ok {
				return name
			}
		}
		return ""
	}
	best := ""
	for _, name := range slices.Sorted(maps.Keys(now)) {
		it := now[name]
		if it.unsound || w.version != "" || !slices.Contains(it.provides, w.name) {
			continue
		}
		if best == "" || now[best].dependency && !it.dependency {
			best = name
		}
	}
	return best
}
