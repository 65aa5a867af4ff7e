package main

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

// debian fetches packages of any architecture and unpacks them, with lists of
// its own: the system's apt and dpkg learn nothing of it.
type debian struct {
	dir    string
	arch   string
	config string
}

const sources = `deb [signed-by=/usr/share/keyrings/debian-archive-keyring.gpg] http://deb.debian.org/debian bookworm main
deb [signed-by=/usr/share/keyrings/debian-archive-keyring.gpg] http://deb.debian.org/debian-security bookworm-security main
`

func newDebian(cache, arch string) (*debian, error) {
	dir, err := filepath.Abs(filepath.Join(cache, "debian-"+arch))
	if err != nil {
		return nil, err
	}
	d := &debian{dir: dir, arch: arch, config: filepath.Join(dir, "apt.conf")}
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

func (d *debian) apt(args ...string) (string, error) {
	cmd := exec.Command(args[0], args[1:]...)
	cmd.Env = append(os.Environ(), "APT_CONFIG="+d.config)
	cmd.Dir = d.dir
	return output(cmd)
}

// unpack unpacks the packages below one root, which it returns. What is there
// already stays as it is.
func (d *debian) unpack(names ...string) (string, error) {
	root := filepath.Join(d.dir, "root")
	for _, name := range names {
		mark := filepath.Join(d.dir, name+".unpacked")
		if _, err := os.Stat(mark); err == nil {
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
		if _, err := output(exec.Command("dpkg", "-x", debs[len(debs)-1], root)); err != nil {
			return "", err
		}
		if err := os.WriteFile(mark, nil, 0o644); err != nil {
			return "", err
		}
	}
	return root, nil
}

func (d *debian) lists() error {
	if found, _ := filepath.Glob(filepath.Join(d.dir, "state/lists/*Packages*")); len(found) > 0 {
		return nil
	}
	_, err := d.apt("apt-get", "update", "-q")
	return err
}

// A kernel is one of Debian's, with its modules.
type kernel struct {
	image   string
	root    string
	version string
}

var built = regexp.MustCompile(`6\.1\.0-(\d+)-`)

// kernel is the newest one of the flavour.
func (d *debian) kernel(flavour string) (*kernel, error) {
	k := &kernel{}
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
		if _, err := d.unpack(names[len(names)-1]); err != nil {
			return nil, err
		}
	}
	k.root = filepath.Join(d.dir, "root")
	found, _ := filepath.Glob(filepath.Join(k.root, "lib/modules/*-"+flavour))
	k.version = filepath.Base(found[len(found)-1])
	images, _ := filepath.Glob(filepath.Join(k.root, "boot/vmlinu*-"+k.version))
	if len(images) == 0 {
		return nil, fmt.Errorf("kernel %s has no image", k.version)
	}
	k.image = images[0]
	_, err := output(exec.Command("depmod", "-b", k.root, k.version))
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

// modules are the files of the modules and of what they need, in the order in
// which they are loaded. What is built in needs none.
func (k *kernel) modules(names ...string) ([]string, error) {
	var files []string
	for _, name := range names {
		text, err := output(exec.Command("modprobe", "-d", k.root, "-S", k.version, "--show-depends", name))
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

// output is what a program said on stdout; what it complained of is the error's.
func output(cmd *exec.Cmd) (string, error) {
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
