// Command vm runs ratchetd in whole machines: a kernel of Debian's, disks that
// are files, and a processor that qemu emulates. It makes them of packages that
// it fetches into build/vm, needs no rights, and changes nothing outside of it.
package main

import (
	"context"
	"errors"
	"flag"
	"fmt"
	"io"
	"os"
	"os/exec"
	"os/signal"
	"path/filepath"
	"strings"
	"syscall"
)

// A session is one that this program can play.
type session struct {
	about string
	tools []string
	play  func(context.Context, *place, io.Writer) error
}

var sessions = map[string]session{
	"jffs2":   {"a mipsel router with 64 MB whose state lies on JFFS2: boot, job, kill, boot, memory", []string{"qemu-system-mipsel"}, playFlash("jffs2")},
	"ubifs":   {"the same router on UBIFS", []string{"qemu-system-mipsel"}, playFlash("ubifs")},
	"systemd": {"a Debian with systemd and the package: starts, hangs, reboots, is killed in a step", []string{"qemu-system-x86_64", "debootstrap", "chroot"}, playSystemd},
	"install": {"the same without the package: install.sh, again, in a step, and away", []string{"qemu-system-x86_64", "debootstrap", "debugfs"}, playInstall},
	"units":   {"a Debian with systemd: a job of each kind under each form of the unit", []string{"qemu-system-x86_64", "debootstrap", "chroot", "dpkg-deb"}, playUnits},
	"bounds":  {"an amd64 board whose kernel grants the agent less and less memory", []string{"qemu-system-x86_64"}, playBounded(pc, "max", "32M", "24M", "16M", "12M")},
	"armhf":   {"an armhf board: memory as the kernel sees it, without a bound and with one", []string{"qemu-system-arm"}, playBounded(virt, "max", "16M")},
	"slots":   {"a board with two slots and a boot loader: good firmware, and four that are bad", []string{"qemu-system-x86_64"}, playSlots},
	"cuts":    {"the same board, with power cuts at random moments", []string{"qemu-system-x86_64"}, playCuts},
}

// everyTool is what each session needs.
var everyTool = []string{"apt-get", "dpkg", "mke2fs", "modprobe", "depmod"}

// A place is where a session is at home.
type place struct {
	dir   string // of the session's disks and logs
	cache string // of packages, for all sessions
	built string // where the cross-built ratchetd lies
	cuts  int
	seed  uint64
}

func main() {
	ctx, stop := signal.NotifyContext(context.Background(), os.Interrupt, syscall.SIGTERM)
	defer stop()
	if err := run(ctx, os.Args[1:], os.Stdout); err != nil {
		fmt.Fprintln(os.Stderr, "vm:", err)
		os.Exit(1)
	}
}

func run(ctx context.Context, args []string, out io.Writer) error {
	flags := flag.NewFlagSet("vm", flag.ContinueOnError)
	dir := flags.String("dir", "build/vm", "where disks, packages and logs go")
	built := flags.String("built", "dist", "where ratchetd-linux-ARCH lies")
	cuts := flags.Int("cuts", 50, "how often the session cuts cuts the power")
	seed := flags.Uint64("seed", 1, "of the random moments")
	if err := flags.Parse(args); err != nil {
		return err
	}
	s, ok := sessions[flags.Arg(0)]
	if !ok || flags.NArg() != 1 {
		return errors.New("want one session: slots, cuts, jffs2, ubifs, bounds, armhf, systemd, units or install")
	}
	if missing := missingTools(append(everyTool, s.tools...)); len(missing) > 0 {
		fmt.Fprintf(out, "skipped: %s: this needs %s (Debian: qemu-system-x86 qemu-system-mips qemu-system-arm e2fsprogs kmod)\n", flags.Arg(0), strings.Join(missing, ", "))
		return nil
	}
	p := &place{cache: *dir, dir: filepath.Join(*dir, flags.Arg(0)), built: *built, cuts: *cuts, seed: *seed}
	if err := os.MkdirAll(p.dir, 0o755); err != nil {
		return err
	}
	fmt.Fprintf(out, "%s: %s\n", flags.Arg(0), s.about)
	return s.play(ctx, p, out)
}

func missingTools(names []string) (missing []string) {
	for _, name := range names {
		if _, err := exec.LookPath(name); err != nil {
			missing = append(missing, name)
		}
	}
	return missing
}
