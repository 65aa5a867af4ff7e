package packages

import (
	"cmp"
	"errors"
	"fmt"
	"path/filepath"
	"slices"

	"github.com/ratchetd/ratchet/executor/step/process"
)

// A manager is the command lines of one package manager.
type manager struct {
	name                 string
	program              int // how many of a command line's words are the program and its first arguments
	refresh, repair      []string
	list                 []string // prints what is installed, in a form that
	read                 func(text string) installed
	installing, removing []string // and names behind it
	upgrading            []string // and names behind it, or none for all
	try                  string   // has it say what it would do
	exact                bool     // name=version can be installed
}

// lockWait is how long a manager is waited for that somebody else runs.
const lockWait = "300"

func (k Kind) managers(with packageWith) []manager {
	return []manager{k.opkg(with), k.apk(with), k.apt(with)}
}

// manager finds the one that is asked for, or that the device has.
func (k Kind) manager(with packageWith) (manager, error) {
	for _, m := range k.managers(with) {
		if with.Manager != "" && m.name != with.Manager {
			continue
		}
		if _, err := process.LookPath(m.list[0], []string{"PATH=" + process.SearchPath}); err == nil {
			return m, nil
		}
	}
	if with.Manager != "" {
		return manager{}, fmt.Errorf("manager: this device has no %s", with.Manager)
	}
	return manager{}, errors.New("this device has neither opkg nor apk nor apt: use the kind command for its packages")
}

// argvWith returns a function that puts more arguments behind a program's own.
func argvWith(program []string, name string, args ...string) func(...string) []string {
	if len(program) == 0 {
		program = []string{name}
	}
	return func(more ...string) []string { return slices.Concat(program, args, more) }
}

func (k Kind) opkg(with packageWith) manager {
	opkg := argvWith(k.Opkg, "opkg")
	m := manager{
		name: "opkg", program: len(opkg()),
		refresh: opkg("update"), repair: opkg("configure"),
		list: opkg("status"), read: readStatus,
		installing: opkg("--force-downgrade", "install"), removing: opkg("remove"), upgrading: opkg("upgrade"),
	}
	if with.AllowRemove {
		m.removing = opkg("--force-removal-of-dependent-packages", "remove")
	}
	return m
}

func (k Kind) apk(with packageWith) manager {
	apk := argvWith(k.Apk, "apk", "--wait", lockWait)
	m := manager{
		name: "apk", program: len(apk()), try: "--simulate", exact: true,
		refresh: apk("update"), list: apk("list", "--installed"), read: readApk,
		installing: apk("add"), removing: apk("del"), upgrading: apk("upgrade"),
	}
	if with.AllowRemove {
		m.removing = apk("del", "--rdepends")
	}
	return m
}

func (k Kind) apt(with packageWith) manager {
	// Pattern-Only: without it apt takes a name that it does not know, and that
	// holds a dot, for a regular expression. Error-Mode: or a dead source is a
	// warning only.
	apt := argvWith(k.Apt, "apt-get", "--assume-yes", "--quiet", "-o", "DPkg::Lock::Timeout="+lockWait, "-o", "APT::Cmd::Pattern-Only=true",
		"-o", "APT::Update::Error-Mode=any", "-o", "Dpkg::Options::=--force-confdef", "-o", "Dpkg::Options::=--force-confold")
	m := manager{
		name: "apt", program: len(apt()), try: "--simulate", exact: true,
		refresh: apt("update"), repair: k.dpkg("--configure", "--pending"),
		list: argvWith(k.DpkgQuery, "dpkg-query")("--show", "--showformat="+dpkgFormat), read: k.readDpkg,
		installing: apt("--fix-broken", "--allow-downgrades", "install", "--"), removing: apt("remove", "--"),
		upgrading: apt("--with-new-pkgs", "upgrade"),
	}
	if with.AllowRemove {
		m.upgrading = apt("dist-upgrade")
	}
	return m
}

func (k Kind) dpkg(args ...string) []string {
	return argvWith(k.Dpkg, "dpkg", "--force-confdef", "--force-confold")(args...)
}

// beside is a command line of another program of apt's.
func (k Kind) beside(name string, args ...string) []string {
	if len(k.Apt) == 0 {
		return append([]string{name}, args...)
	}
	if dir := filepath.Dir(k.Apt[0]); dir != "." {
		name = filepath.Join(dir, name)
	}
	return slices.Concat([]string{name}, k.Apt[1:], args)
}

// with puts options behind the program of a command line.
func (m manager) with(argv []string, options ...string) []string {
	return slices.Insert(slices.Clone(argv), m.program, options...)
}

// environment keeps a manager from asking, and from restarting services of its
// own accord.
func (m manager) environment() map[string]string {
	env := map[string]string{"LC_ALL": "C"} // what it says is read
	if m.name == "apt" {
		env["DEBIAN_FRONTEND"], env["APT_LISTCHANGES_FRONTEND"], env["NEEDRESTART_SUSPEND"] = "noninteractive", "none", "1"
	}
	return env
}

// argument is how the manager is told to install a package.
func (m manager) argument(w wanted) string {
	if m.exact {
		return w.String()
	}
	return w.name
}

func (k Kind) world() string { return cmp.Or(k.World, "/etc/apk/world") }
