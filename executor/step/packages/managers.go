package packages

import (
	"cmp"
	"errors"
	"fmt"
	"regexp"
	"slices"
	"strings"

	"github.com/ratchetd/ratchet/executor/step/process"
)

// A manager is the command lines of one package manager.
type manager struct {
	name                 string
	refresh, repair      []string
	list                 []string // prints what is installed, each with its version, in a line that
	read                 func(line string) (name, version string)
	installing, removing []string // and names behind it
	upgrading            []string // and names behind it, or none for all
	upgradable           []string // prints their names, where upgrading needs them
	exact                bool     // name=version can be installed; else versions prints what can be had
	versions             []string
}

// lockWait is how long a manager is waited for that somebody else runs.
const lockWait = "300"

func (k Kind) managers() []manager {
	return []manager{k.opkg(), k.apk(), k.apt()}
}

// manager finds the one that is asked for, or that the device has.
func (k Kind) manager(name string) (manager, error) {
	for _, m := range k.managers() {
		if name != "" && m.name != name {
			continue
		}
		if _, err := process.LookPath(m.list[0], []string{"PATH=" + process.SearchPath}); err == nil {
			return m, nil
		}
	}
	if name != "" {
		return manager{}, fmt.Errorf("manager: this device has no %s", name)
	}
	return manager{}, errors.New("this device has neither opkg nor apk nor apt: use the kind command for its packages")
}

// with returns a function that puts more arguments behind a program's own.
func argvWith(program []string, name string, args ...string) func(...string) []string {
	if len(program) == 0 {
		program = []string{name}
	}
	return func(more ...string) []string { return slices.Concat(program, args, more) }
}

func (k Kind) opkg() manager {
	opkg := argvWith(k.Opkg, "opkg")
	return manager{
		name:    "opkg",
		refresh: opkg("update"), repair: opkg("configure"),
		list: opkg("list-installed"), read: readDashed,
		installing: opkg("--force-downgrade", "install"), removing: opkg("remove"),
		upgrading: opkg("upgrade"), upgradable: opkg("list-upgradable"),
		versions: opkg("list"),
	}
}

// readDashed reads "name - version - more".
func readDashed(line string) (name, version string) {
	f := strings.Split(line, " - ")
	if len(f) < 2 {
		return "", ""
	}
	return f[0], strings.TrimSpace(f[1])
}

var apkLine = regexp.MustCompile(`^(\S+)-([0-9][^- ]*(?:-r[0-9]+)?)( |$)`)

func (k Kind) apk() manager {
	apk := argvWith(k.Apk, "apk", "--wait", lockWait)
	return manager{
		name:    "apk",
		refresh: apk("update"),
		list:    apk("list", "--installed"),
		read: func(line string) (name, version string) {
			if m := apkLine.FindStringSubmatch(line); m != nil {
				return m[1], m[2]
			}
			return "", ""
		},
		installing: apk("add"), removing: apk("del"), upgrading: apk("upgrade"), exact: true,
	}
}

func (k Kind) apt() manager {
	// Pattern-Only: without it apt takes a name that it does not know, and that
	// holds a dot, for a regular expression.
	apt := argvWith(k.Apt, "apt-get", "--assume-yes", "--quiet", "-o", "DPkg::Lock::Timeout="+lockWait, "-o", "APT::Cmd::Pattern-Only=true",
		"-o", "Dpkg::Options::=--force-confdef", "-o", "Dpkg::Options::=--force-confold")
	dpkg := argvWith(k.Dpkg, "dpkg", "--force-confdef", "--force-confold")
	return manager{
		name:    "apt",
		refresh: apt("update"), repair: dpkg("--configure", "--pending"),
		list: argvWith(k.DpkgQuery, "dpkg-query")("--show", "--showformat=${db:Status-Status} ${Package} ${Version}\n"),
		read: func(line string) (name, version string) {
			f := strings.Fields(line)
			if len(f) == 3 && (f[0] == "installed" || strings.HasPrefix(f[0], "triggers-")) {
				return f[1], f[2]
			}
			return "", ""
		},
		installing: apt("--fix-broken", "--allow-downgrades", "install", "--"), removing: apt("remove", "--"),
		upgrading: apt("upgrade"), exact: true,
	}
}

// upgradeArgv is the command line that upgrades names, or all when there are none.
func (m manager) upgradeArgv(names []string) []string {
	if m.name == "apt" && len(names) > 0 {
		i := slices.Index(m.installing, "install")
		return slices.Concat(m.installing[:i], []string{"--only-upgrade"}, m.installing[i:], names)
	}
	return slices.Concat(m.upgrading, names)
}

// environment keeps a manager from asking, and from restarting services of its
// own accord.
func (m manager) environment() map[string]string {
	if m.name != "apt" {
		return nil
	}
	return map[string]string{"DEBIAN_FRONTEND": "noninteractive", "APT_LISTCHANGES_FRONTEND": "none", "NEEDRESTART_SUSPEND": "1"}
}

// argument is how the manager is told to install a package.
func (m manager) argument(w wanted) string {
	if m.exact {
		return w.String()
	}
	return w.name
}

func (k Kind) world() string { return cmp.Or(k.World, "/etc/apk/world") }
