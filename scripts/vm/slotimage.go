package main

import (
	"bytes"
	"compress/gzip"
	_ "embed"
	"fmt"
	"os"
	"path/filepath"
	"strings"

	"github.com/ratchetd/ratchet/executor"
	"github.com/ratchetd/ratchet/scripts/vm/machine"
)

//go:embed guest/selector.sh
var selectorScript string

//go:embed guest/start.sh
var startScript string

//go:embed guest/feed.sh
var feedScript string

const (
	slotSize = 24 << 20
	dataSize = 64 << 20
	envSize  = 0x4000
	fwEnv    = "/dev/vda1 0x0 0x4000\n/dev/vda1 0x4000 0x4000\n"
	inittab  = "::sysinit:/sbin/start\n::respawn:/usr/sbin/ratchetd run\n::respawn:/sbin/feed\n::ctrlaltdel:/sbin/reboot\n::shutdown:/bin/umount -a -r\n"
)

// An image is firmware of the board: what a slot holds.
type image struct {
	version string
	is      string // good, or what is bad about it
	path    string
	sha256  string
}

// bad are what a bad image is like.
var bad = []string{"panics", "is deaf", "has no agent", "is no system"}

// A slotBoard is what the machine of the session slots is made of.
type slotBoard struct {
	*place
	root string // of the unpacked packages
}

// tools are the programs that read and write U-Boot's environment, with the
// libraries that they want.
func (b *slotBoard) tools(t machine.Tree) error {
	lib := "usr/lib/x86_64-linux-gnu/"
	for path, from := range map[string]string{
		"bin/busybox": "bin/busybox", "bin/fw_printenv": "usr/bin/fw_printenv", "lib64/ld-linux-x86-64.so.2": "lib/x86_64-linux-gnu/ld-linux-x86-64.so.2",
		"lib/x86_64-linux-gnu/libc.so.6": "lib/x86_64-linux-gnu/libc.so.6", "lib/x86_64-linux-gnu/libz.so.1": "lib/x86_64-linux-gnu/libz.so.1", "lib/x86_64-linux-gnu/libubootenv.so.0": lib + "libubootenv.so.0",
	} {
		if err := t.File(path, filepath.Join(b.root, from)); err != nil {
			return err
		}
	}
	t.Text("bin/fw_setenv", "->fw_printenv")
	t.Text("etc/fw_env.config", fwEnv)
	t.Applets([]string{"dev", "proc", "sys", "run", "tmp", "root", "var"}, applets)
	t.Text("var/lock", "->/run")
	return nil
}

var applets = strings.Fields("sh mount umount insmod reboot sync switch_root cat echo sleep ip pidof sed tr od mktemp mkfifo sha256sum tee dd gzip head tail cmp " +
	"blockdev wc rm grep ls true du cut")

func (b *slotBoard) selector(k *machine.Kernel) (machine.Tree, error) {
	t := machine.Tree{}
	if err := b.tools(t); err != nil {
		return nil, err
	}
	t.Text("init", selectorScript)
	modules, err := k.Modules("virtio_pci", "virtio_blk", "virtio_net", "softdog")
	if err != nil {
		return nil, err
	}
	return t, t.Loads(modules)
}

// slot is the root file system of a version.
func (b *slotBoard) slot(i *image) (machine.Tree, error) {
	t := machine.Tree{}
	if err := b.tools(t); err != nil {
		return nil, err
	}
	t.Applets([]string{"data", "etc/ratchet", "var/lib/ratchet"}, nil)
	t.Text("sbin/init", "->/bin/busybox")
	t.Text("sbin/reboot", "->/bin/busybox")
	t.Text("etc/inittab", inittab)
	t.Text("etc/version", i.version+"\n")
	t.Text("etc/passwd", "root:x:0:0:root:/:/bin/sh\n")
	t.Text("sbin/start", startScript)
	t.Text("sbin/feed", feedScript)
	if err := t.File("usr/sbin/ratchetd", filepath.Join(b.built, "ratchetd-linux-amd64")); err != nil {
		return nil, fmt.Errorf("%w: make dist/ratchetd-linux-amd64 builds it", err)
	}
	switch i.is {
	case "panics":
		t.Text("sbin/init", "->/no/such/program")
	case "is deaf":
		t.Text("sbin/start", strings.ReplaceAll(startScript, "ip link set eth0 up", "ip link set eth0 down"))
	case "has no agent":
		delete(t, "usr/sbin/ratchetd")
	}
	return t, nil
}

// make makes the image and what of it is downloaded.
func (b *slotBoard) make(i *image) error {
	i.path = filepath.Join(b.dir, "image-"+i.version)
	if i.is == "is no system" {
		if err := os.WriteFile(i.path, bytes.Repeat([]byte("garbage\n"), 1<<20), 0o644); err != nil {
			return err
		}
	} else {
		t, err := b.slot(i)
		if err != nil {
			return err
		}
		if err := machine.Ext4(i.path, slotSize, t); err != nil {
			return err
		}
	}
	text, err := os.ReadFile(i.path)
	if err != nil {
		return err
	}
	var packed bytes.Buffer
	z := gzip.NewWriter(&packed)
	if _, err := z.Write(text); err != nil {
		return err
	}
	if err := z.Close(); err != nil {
		return err
	}
	i.sha256 = executor.Digest(packed.Bytes())
	return os.WriteFile(i.path+".gz", packed.Bytes(), 0o644)
}

// disk makes the board's disk, with the image in slot A and nothing in slot B.
func (b *slotBoard) disk(first *image, port int) error {
	data := machine.Tree{}
	script, err := os.ReadFile("scripts/firmware/uboot")
	if err != nil {
		return fmt.Errorf("%w: run this from the top of the repository", err)
	}
	data.Applets([]string{"etc", "state"}, nil)
	data["etc/firmware"] = script
	data.Text("etc/firmware.conf", "BOARD=vm\nSLOT_A=/dev/vda2\nSLOT_B=/dev/vda3\nCMDLINE=/run/cmdline\n")
	data.Text("etc/ratchet.toml", fmt.Sprintf("device = %q\nstate = \"/var/lib/ratchet\"\n[link]\nbroker = \"tcp://10.0.2.2:%d\"\nspread = \"0s\"\n[policy]\nreboot = [\"/sbin/reboot\"]\n", device, port))
	env, empty, shared := filepath.Join(b.dir, "env"), filepath.Join(b.dir, "empty"), filepath.Join(b.dir, "data")
	for _, err := range []error{
		os.WriteFile(env, environment(envSize, "boot_slot=A", "bootcount=0", "bootlimit=3", "upgrade_available=0"), 0o644),
		os.WriteFile(empty, make([]byte, slotSize), 0o644), machine.Ext4(shared, dataSize, data),
	} {
		if err != nil {
			return err
		}
	}
	return machine.Partitioned(filepath.Join(b.dir, "disk"), env, first.path, empty, shared)
}
