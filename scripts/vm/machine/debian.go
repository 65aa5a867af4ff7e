package machine

import (
	"fmt"
	"os"
	"os/exec"
	"path/filepath"
	"regexp"
	"slices"
	"strconv"
	"strings"
)

// Debian fetches packages of any architecture and unpacks them, with lists of
// its own: the system's apt and dpkg learn nothing of it.
type Debian struct {
	dir    string
	arch   string
	config string
}

const sources = `deb [signed-by=/usr/share/keyrings/debian-archive-keyring.gpg] http://deb.debian.org/debian bookworm main
deb [signed-by=/usr/share/keyrings/debian-archive-keyring.gpg] http://deb.debian.org/debian-security bookworm-security main
`

// NewDebian keeps what it fetches for the architecture below cache.
func NewDebian(cache, arch string) (*Debian, error) {
	dir, err := filepath.Abs(filepath.Join(cache, "debian-"+arch))
	if err != nil {
		return nil, err
	}
	d := &Debian{dir: dir, arch: arch, config: filepath.Join(dir, "apt.conf")}
	for _, sub := range []string{"state/lists/partial", "cache/archives/partial", "root"} {
		if err := os.MkdirAll(filepath.Join(dir, sub), 0o755); err != nil {
			return nil, err
		}
	}
	conf := fmt.Sprintf("Dir::State %q;\nDir::State::status %q;\nDir::Cache %q;\nDir::Etc::sourcelist %q;\nDir::Etc::sourceparts \"-\";\n"+
		"APT::Architecture %q;\nAPT::Architectures {%q;};\nAPT::Sandbox::User \"root\";\nAcquire::Languages \"none\";\n",
		dir+"/state", dir+"/state/status", dir+"/cache", dir+"/sources.list", arch, arch)
	for name, text := range map[string]string{"apt.conf": conf, "sources.list": sources, "state/status": ""} {
		if err := os.WriteFile(filepath.Join(dir, name), []byte(text), 0o644); err != nil {
			return nil, err
		}
	}
	return d, nil
}

func (d *Debian) apt(args ...string) (string, error) {
	cmd := exec.Command(args[0], args[1:]...)
	cmd.Env = append(os.Environ(), "APT_CONFIG="+d.config)
	cmd.Dir = d.dir
	return Output(cmd)
}

// Unpack unpacks the packages below one root, which it returns. What is there
// already stays as it is.
func (d *Debian) Unpack(names ...string) (string, error) {
	Root := filepath.Join(d.dir, "root")
	for _, name := range names {
		Mark := filepath.Join(d.dir, name+".unpacked")
		if _, err := os.Stat(Mark); err == nil {
			continue
		}
		if err := d.lists(); err != nil {
			return "", err
		}
		if _, err := d.apt("apt-get", "download", "-q", name); err != nil {
			return "", err
		}
		debs, _ := filepath.Glob(filepath.Join(d.dir, name+"_*.deb"))
		if len(debs) == 0 {
			return "", fmt.Errorf("package %s: nothing was fetched", name)
		}
		if _, err := Output(exec.Command("dpkg", "-x", debs[len(debs)-1], Root)); err != nil {
			return "", err
		}
		if err := os.WriteFile(Mark, nil, 0o644); err != nil {
			return "", err
		}
	}
	return Root, nil
}

func (d *Debian) lists() error {
	if found, _ := filepath.Glob(filepath.Join(d.dir, "state/lists/*Packages*")); len(found) > 0 {
		return nil
	}
	_, err := d.apt("apt-get", "update", "-q")
	return err
}

// A Kernel is one of Debian's, with its modules.
type Kernel struct {
	image   string
	Root    string
	version string
}

var built = regexp.MustCompile(`6\.1\.0-(\d+)-`)

// Kernel is the newest one of the flavour.
func (d *Debian) Kernel(flavour string) (*Kernel, error) {
	k := &Kernel{}
	if found, _ := filepath.Glob(filepath.Join(d.dir, "root/lib/modules/*-"+flavour)); len(found) == 0 {
		if err := d.lists(); err != nil {
			return nil, err
		}
		list, err := d.apt("apt-cache", "pkgnames", "linux-image-6.1.0-")
		if err != nil {
			return nil, err
		}
		names := strings.Fields(list)
		names = slices.DeleteFunc(names, func(n string) bool { return !strings.HasSuffix(n, "-"+flavour) })
		slices.SortFunc(names, func(a, b string) int { return number(a) - number(b) })
		if len(names) == 0 {
			return nil, fmt.Errorf("no kernel %s for %s", flavour, d.arch)
		}
		if _, err := d.Unpack(names[len(names)-1]); err != nil {
			return nil, err
		}
	}
	k.Root = filepath.Join(d.dir, "root")
	found, _ := filepath.Glob(filepath.Join(k.Root, "lib/modules/*-"+flavour))
	k.version = filepath.Base(found[len(found)-1])
	images, _ := filepath.Glob(filepath.Join(k.Root, "boot/vmlinu*-"+k.version))
	if len(images) == 0 {
		return nil, fmt.Errorf("kernel %s has no image", k.version)
	}
	k.image = images[0]
	_, err := Output(exec.Command("depmod", "-b", k.Root, k.version))
	return k, err
}

func number(name string) int {
	m := built.FindStringSubmatch(name)
	if m == nil {
		return 0
	}
	n, _ := strconv.Atoi(m[1])
	return n
}

// Modules are the files of the modules and of what they need, in the order in
// which they are loaded. What is built in needs none.
func (k *Kernel) Modules(names ...string) ([]string, error) {
	var files []string
	for _, name := range names {
		text, err := Output(exec.Command("modprobe", "-d", k.Root, "-S", k.version, "--show-depends", name))
		if err != nil {
			return nil, err
		}
		for line := range strings.Lines(text) {
			f := strings.Fields(line)
			if len(f) >= 2 && f[0] == "insmod" && !slices.Contains(files, f[1]) {
				files = append(files, f[1])
			}
		}
	}
	return files, nil
}

// Output is what a program said on stdout; what it complained of is the error's.
func Output(cmd *exec.Cmd) (string, error) {
	var complaint strings.Builder
	if cmd.Stderr == nil {
		cmd.Stderr = &complaint
	}
	text, err := cmd.Output()
	if err != nil {
		return "", fmt.Errorf("%s: %w: %s", strings.Join(cmd.Args, " "), err, strings.TrimSpace(complaint.String()))
	}
	return string(text), nil
}
