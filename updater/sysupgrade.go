package updater

import (
	"context"
	"errors"
	"fmt"
	"os"
	"path/filepath"
	"slices"
	"strconv"
	"strings"
	"syscall"
)

// keepList is where a package says which of its files a flash must keep.
const keepList = "/lib/upgrade/keep.d/ratchet"

// keepDir is where the agent's own files, keys among them, wait in RAM for a flash
// that keeps nothing else. It is nobody else's: who made it beforehand, or may write
// in it, would say what the device is after the flash.
const keepDir = "/tmp/ratchet-keep"

// A sysupgrade flashes OpenWrt. There is no way back. It stops all services, kills
// its caller and reboots, and once it has commenced its exit status says nothing:
// whether it worked shows the version that runs after the boot.
type sysupgrade struct{ *Board }

func (b sysupgrade) found() bool { return b.program("sysupgrade") != "" }

func (b sysupgrade) backend(context.Context) (*Backend, error) {
	return &Backend{
		Name: "sysupgrade", Kills: true, Why: "sysupgrade writes over the running system",
		KeepIn: filepath.Join(b.Root, keepList),
		State: func(context.Context) (System, error) {
			s := b.system()
			s.Slot = "" // the root is an overlay, whatever lies below it
			return s, nil
		},
		Test: func(ctx context.Context, i Image) error {
			_, err := b.ask(ctx, b.program("sysupgrade"), "-T", i.Path)
			return err
		},
		Install: b.install,
	}, nil
}

func (b sysupgrade) install(ctx context.Context, i Image, _ func(float64)) error {
	if err := b.roomToFlash(i.Keep); err != nil {
		return err
	}
	argv := []string{b.program("sysupgrade")}
	if i.Reset {
		tar, err := b.packKept(ctx, i.Keep)
		if err != nil {
			return err
		}
		argv = append(argv, "-f", tar)
	} else if err := b.isKept(ctx, i.Keep); err != nil {
		return err
	}
	_, err := b.do(ctx, Call{Argv: append(argv, i.Path), Detach: true, Begins: "Commencing upgrade"})
	if err == nil {
		err = errors.New("it ended, and the device did not reboot")
	}
	return fmt.Errorf("sysupgrade: %w", err)
}

// isKept checks that what the agent needs would be there after the flash.
func (b sysupgrade) isKept(ctx context.Context, keep []string) error {
	out, err := b.ask(ctx, b.program("sysupgrade"), "-l")
	if err != nil {
		return err
	}
	list := strings.Fields(out)
	for _, file := range b.files(keep) {
		if !slices.Contains(list, file) {
			return fmt.Errorf("sysupgrade would not keep %s: see %s and /etc/sysupgrade.conf", file, keepList)
		}
	}
	return nil
}

// packKept returns the tar of what is kept.
func (b sysupgrade) packKept(ctx context.Context, keep []string) (string, error) {
	dir := filepath.Join(b.Root, keepDir)
	err := os.RemoveAll(dir)
	if err == nil {
		err = os.Mkdir(dir, 0o700)
	}
	tar := filepath.Join(dir, "keep.tgz")
	argv := []string{"tar", "-czf", tar, "-C", filepath.Join(b.Root, "/")}
	for _, path := range keep {
		if b.has(path) {
			argv = append(argv, strings.TrimPrefix(path, "/"))
		}
	}
	if err == nil {
		_, err = b.ask(ctx, argv...)
	}
	if err != nil {
		return "", fmt.Errorf("packing what the agent needs: %w", err)
	}
	return tar, nil
}

// Kept lists what a flash of OpenWrt must keep for the agent to be there after it:
// the given paths and, where the agent is not part of the image, its binary and
// what starts it.
func (b *Board) Kept(paths []string, binary string) []string {
	kept := append(slices.Clone(paths), keepList)
	kept = append(kept, b.glob("/etc/config/ratchet*")...)
	if b.inImage(binary) {
		return kept
	}
	kept = append(kept, binary)
	for _, pattern := range []string{"/etc/init.d/ratchet*", "/etc/rc.d/[SK]*ratchet*", "/usr/lib/ratchet", "/usr/libexec/ratchetd", "/etc/hotplug.d/*/*ratchet*"} {
		kept = append(kept, b.glob(pattern)...)
	}
	return kept
}

func (b *Board) inImage(binary string) bool { return b.has(filepath.Join("/rom", binary)) }

// KeepWarning is why the agent may be missing after a flash, or empty.
func (b *Board) KeepWarning(kept []string, binary string) string {
	if b.inImage(binary) || !b.has("/overlay") {
		return ""
	}
	var disk syscall.Statfs_t
	if syscall.Statfs(filepath.Join(b.Root, "/overlay"), &disk) != nil {
		return ""
	}
	room, need := int64(disk.Blocks)*int64(disk.Bsize), b.size(kept)
	if need > room/10*9 {
		return fmt.Sprintf("the agent is not part of the image and its %d bytes do not fit into the %d of the overlay: after the flash it would be missing; build an image with it", need, room)
	}
	return "the agent is not part of the image: it is kept as a file, and the packages of the image should list it"
}

// roomToFlash is an error where RAM has no room for the tar of what is kept and for
// the programs that write; the image lies in RAM already.
func (b sysupgrade) roomToFlash(keep []string) error {
	const programs = 3 << 20
	for line := range strings.Lines(b.text("/proc/meminfo")) {
		f := strings.Fields(line)
		if len(f) < 2 || f[0] != "MemAvailable:" {
			continue
		}
		kB, err := strconv.ParseInt(f[1], 10, 64)
		if need := b.size(keep) + programs; err == nil && kB<<10 < need {
			return fmt.Errorf("no room in RAM: the flash needs %d bytes and %d are available: stop services and submit again", need, kB<<10)
		}
	}
	return nil
}
