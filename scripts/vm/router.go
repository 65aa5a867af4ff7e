package main

import (
	"bytes"
	_ "embed"
	"fmt"
	"os"
	"os/exec"
	"path/filepath"
	"slices"
	"strings"

	"github.com/ratchetd/ratchet/scripts/vm/machine"
)

//go:embed guest/flash.sh
var flashScript string

//go:embed guest/router.sh
var routerScript string

const (
	flashAt    = 32 << 20 // in the RAM, between what the kernel may use
	flashSize  = 16 << 20
	routerInit = "::sysinit:/sbin/start\n::respawn:/usr/sbin/ratchetd run\n::ctrlaltdel:/sbin/reboot\n"
)

// A router is a mipsel board with 64 MB and a flash that is written over its
// root. For JFFS2 the flash is RAM of the machine that lies in a file of the
// host: what the guest has written is there the moment it is written, whatever
// is killed. UBI does not take that; for UBIFS it is a disk, which is milliseconds
// behind.
type router struct {
	*place
	wired
	flash string // jffs2 or ubifs
	guest string // the root of the unpacked packages
}

func newRouter(p *place, flash string) (*router, error) {
	r := &router{place: p, flash: flash}
	d, err := machine.NewDebian(p.cache, "mipsel")
	if err != nil {
		return nil, err
	}
	k, err := d.Kernel("4kc-malta")
	if err != nil {
		return nil, err
	}
	if r.guest, err = d.Unpack("busybox-static"); err != nil {
		return nil, err
	}
	if r.broker, err = startBroker(); err != nil {
		return nil, err
	}
	first, err := r.first(k)
	if err != nil {
		return nil, err
	}
	initrd, rom, ram, console := r.path("initrd"), r.path("rom"), r.path("ram"), r.path("console.log")
	_ = os.Remove(console) // there may be none
	qemu := []string{"qemu-system-mipsel", "-M", "malta,memory-backend=ram", "-cpu", "24Kf", "-m", "80",
		"-object", "memory-backend-file,id=ram,size=80M,share=on,mem-path=" + ram, "-device", "virtio-rng-pci", "-vga", "none", // the board has no interrupt for one more
		"-drive", "file=" + rom + ",format=raw,if=none,id=rom,readonly=on", "-device", "virtio-blk-pci,drive=rom"}
	if flash == "ubifs" {
		qemu = append(qemu, "-drive", "file="+r.path("flash")+",format=raw,if=none,id=flash", "-device", "virtio-blk-pci,drive=flash")
	}
	r.machine = machine.New(qemu, k, initrd, "console=ttyS0 quiet loglevel=1 panic=1 nokaslr mem=32M@0 mem=32M@48M flash="+flash, console)
	for _, step := range []func() error{
		func() error { return os.WriteFile(initrd, first.CPIO(), 0o644) },
		func() error { return r.rom(rom) },
		func() error { return r.erase(ram) },
	} {
		if err := step(); err != nil {
			return nil, err
		}
	}
	return r, nil
}

func (r *router) path(name string) string { return filepath.Join(r.dir, r.flash+"-"+name) }

// first is the kernel's first root. The modules of the flash's file system come
// last: ubi takes the flash when it is loaded.
func (r *router) first(k *machine.Kernel) (machine.Tree, error) {
	t := machine.Tree{}
	t.Applets([]string{"dev", "proc", "sys", "rom", "overlay", "root"}, strings.Fields("sh mount insmod sed mkdir echo switch_root"))
	t.Text("init", flashScript)
	if err := t.File("bin/busybox", filepath.Join(r.guest, "bin/busybox")); err != nil {
		return nil, err
	}
	names := []string{"virtio_pci", "virtio_blk", "virtio_net", "virtio_rng", "ext4", "overlay", "crc32c_generic"}
	if r.flash == "jffs2" {
		names = append(names, "phram", "jffs2")
	} else {
		names = append(names, "block2mtd")
	}
	modules, err := k.Modules(names...)
	if err != nil {
		return nil, err
	}
	if r.flash == "ubifs" {
		last, err := k.Modules("lzo", "lzo-rle", "deflate", "zstd", "ubifs")
		if err != nil {
			return nil, err
		}
		for _, path := range last {
			if err := t.File("modules/last/"+filepath.Base(path), path); err != nil {
				return nil, err
			}
		}
		for _, path := range last {
			if !slices.Contains(modules, path) && !strings.HasPrefix(filepath.Base(path), "ubi") {
				modules = append(modules, path)
			}
		}
	}
	return t, t.Loads(modules)
}

// rom is the root that cannot be written.
func (r *router) rom(path string) error {
	t := machine.Tree{}
	t.Applets([]string{"dev", "proc", "sys", "tmp", "root", "var", "etc/ratchet"}, append(applets, "free", "df", "uname", "logger"))
	if err := t.File("bin/busybox", filepath.Join(r.guest, "bin/busybox")); err != nil {
		return err
	}
	if err := t.File("usr/sbin/ratchetd", filepath.Join(r.built, "ratchetd-linux-mipsle")); err != nil {
		return fmt.Errorf("%w: make dist/ratchetd-linux-mipsle builds it", err)
	}
	t.Text("sbin/init", "->/bin/busybox")
	t.Text("sbin/reboot", "->/bin/busybox")
	t.Text("sbin/start", routerScript)
	t.Text("etc/inittab", routerInit)
	t.Text("etc/passwd", "root:x:0:0:root:/:/bin/sh\n")
	t.Text("etc/ratchet/ratchet.toml", fmt.Sprintf("device = %q\nstate = \"/etc/ratchet/state\"\n[link]\nbroker = \"tcp://10.0.2.2:%d\"\nspread = \"0s\"\n[policy]\nreboot = [\"/sbin/reboot\"]\n", device, r.port))
	return machine.Ext4(path, 32<<20, t)
}

// erase makes the RAM's file, and a flash that is empty or holds an empty volume.
func (r *router) erase(ram string) error {
	flash, name, at := bytes.Repeat([]byte{0xff}, flashSize), ram, int64(flashAt)
	if r.flash == "ubifs" {
		volume, err := r.volume()
		if err != nil {
			return err
		}
		copy(flash, volume)
		name, at = r.path("flash"), 0
	}
	for _, path := range []string{ram, name} {
		if err := os.WriteFile(path, nil, 0o644); err != nil {
			return err
		}
	}
	f, err := os.OpenFile(filepath.Clean(name), os.O_WRONLY, 0o644)
	if err != nil {
		return err
	}
	defer f.Close()
	if _, err := f.WriteAt(flash, at); err != nil {
		return err
	}
	return os.Truncate(ram, 80<<20)
}

// volume is what lies on a flash with one empty volume, which takes all of it.
func (r *router) volume() ([]byte, error) {
	d, err := machine.NewDebian(r.cache, "amd64")
	if err != nil {
		return nil, err
	}
	root, err := d.Unpack("mtd-utils", "libiniparser1")
	if err != nil {
		return nil, err
	}
	conf, to := r.path("ubinize.cfg"), r.path("ubinize")
	text := "[data]\nmode=ubi\nvol_id=0\nvol_type=dynamic\nvol_name=data\nvol_size=1MiB\nvol_flags=autoresize\n"
	if err := os.WriteFile(conf, []byte(text), 0o644); err != nil {
		return nil, err
	}
	tool := exec.Command(filepath.Join(root, "usr/sbin/ubinize"), "-o", to, "-p", "64KiB", "-m", "1", conf)
	tool.Env = append(os.Environ(), "LD_LIBRARY_PATH="+filepath.Join(root, "usr/lib/x86_64-linux-gnu"))
	if _, err := machine.Output(tool); err != nil {
		return nil, err
	}
	return os.ReadFile(to)
}
