package main

import (
	"context"
	_ "embed"
	"errors"
	"fmt"
	"io"
	"os"
	"os/exec"
	"path/filepath"
	"strings"
	"text/tabwriter"
	"time"

	"github.com/ratchetd/ratchet/scripts/vm/machine"
)

//go:embed guest/disk.sh
var diskScript string

// A gateway is a Debian with systemd on which the package was installed.
type gateway struct {
	*place
	wired
	root string
}

// playSystemd starts the packaged unit, hangs the daemon, reboots the system
// and kills the machine in a step.
func playSystemd(ctx context.Context, p *place, out io.Writer) error {
	if os.Getuid() != 0 {
		fmt.Fprintln(out, "skipped: systemd: debootstrap wants root")
		return nil
	}
	g := &gateway{place: p, root: filepath.Join(p.dir, "root")}
	if err := g.packaged(); err != nil {
		return err
	}
	if err := g.make(); err != nil {
		return err
	}
	return g.play(ctx, out, g.starts, g.hangs, g.reboots, g.cutInStep)
}

// play plays one part after another on the machine.
func (g *gateway) play(ctx context.Context, out io.Writer, parts ...func(context.Context) (row, error)) error {
	ctx, cancel := context.WithTimeoutCause(ctx, 20*time.Minute, errors.New("no end in twenty minutes"))
	defer cancel()
	table := tabwriter.NewWriter(out, 0, 0, 2, ' ', 0)
	for _, part := range parts {
		seen, err := part(ctx)
		fmt.Fprintf(table, "%s\t%s\t\n", seen[0], seen[1])
		if err := errors.Join(err, table.Flush()); err != nil {
			return err
		}
	}
	return nil
}

// base makes the root.
func (g *gateway) base() error {
	if _, err := os.Stat(filepath.Join(g.root, "etc/debian_version")); err == nil {
		return nil
	}
	_, err := machine.Output(exec.Command("debootstrap", "--variant=minbase", "--include=systemd-sysv,udev,ca-certificates", "bookworm", g.root))
	return err
}

// install installs the package in the root.
func (g *gateway) install() error {
	debs, _ := filepath.Glob(filepath.Join(g.built, "ratchetd_*_amd64.deb"))
	if len(debs) == 0 {
		return errors.New("no package of ratchetd: make packages PACKAGES=deb/amd64 makes one")
	}
	deb := filepath.Join(g.root, "ratchetd.deb")
	if _, err := machine.Output(exec.Command("cp", debs[len(debs)-1], deb)); err != nil {
		return err
	}
	_, err := machine.Output(exec.Command("chroot", g.root, "dpkg", "-i", "--force-confold", "/ratchetd.deb"))
	return err
}

// configure writes the files, and what every such machine has, and enables units.
func (g *gateway) configure(files map[string]string, units ...string) error {
	files["etc/systemd/network/10-wired.network"] = "[Match]\nName=en* eth*\n[Network]\nAddress=10.0.2.15/24\nGateway=10.0.2.2\n"
	files["etc/fstab"] = "/dev/vda / ext4 defaults 0 1\n"
	for path, text := range files {
		to := filepath.Join(g.root, path)
		if err := os.MkdirAll(filepath.Dir(to), 0o755); err != nil {
			return err
		}
		if err := os.WriteFile(to, []byte(text), 0o644); err != nil {
			return err
		}
	}
	if err := os.MkdirAll(filepath.Join(g.root, "etc/systemd/system/multi-user.target.wants"), 0o755); err != nil {
		return err
	}
	_, err := machine.Output(exec.Command("chroot", append([]string{g.root, "systemctl", "enable", "systemd-networkd"}, units...)...))
	return err
}

// packaged is a root with the package, and a broker for it.
func (g *gateway) packaged() (err error) {
	if g.broker, err = startBroker(); err != nil {
		return err
	}
	if err := errors.Join(g.base(), g.install()); err != nil {
		return err
	}
	return g.configure(map[string]string{
		"etc/ratchet/ratchet.toml":                             fmt.Sprintf("device = %q\n[link]\nbroker = \"tcp://10.0.2.2:%d\"\nspread = \"0s\"\n", device, g.port),
		"etc/systemd/system/ratchetd.service.d/impatient.conf": "[Service]\nWatchdogSec=20s\n",
	}, "ratchetd")
}

// make puts the root on the disk of a machine.
func (g *gateway) make() error {
	d, err := machine.NewDebian(g.cache, "amd64")
	if err != nil {
		return err
	}
	k, err := d.Kernel("cloud-amd64")
	if err != nil {
		return err
	}
	guest, err := d.Unpack("busybox-static")
	if err != nil {
		return err
	}
	first := machine.Tree{}
	first.Applets([]string{"dev", "proc", "sys", "root"}, strings.Fields("sh mount insmod switch_root"))
	first.Text("init", diskScript)
	modules, err := k.Modules("virtio_pci", "virtio_blk", "virtio_net")
	if err != nil {
		return err
	}
	disk, initrd, console := filepath.Join(g.dir, "disk"), filepath.Join(g.dir, "initrd"), filepath.Join(g.dir, "console.log")
	_ = os.Remove(disk)
	_ = os.Remove(console)
	err = errors.Join(first.File("bin/busybox", filepath.Join(guest, "bin/busybox")), first.Loads(modules), os.WriteFile(initrd, first.CPIO(), 0o644))
	if err != nil {
		return err
	}
	if _, err := machine.Output(exec.Command("mke2fs", "-q", "-t", "ext4", "-d", g.root, disk, "700M")); err != nil {
		return err
	}
	g.machine = machine.New([]string{"qemu-system-x86_64", "-M", "pc", "-cpu", "qemu64,+rdrand", "-m", "512", "-drive", "file=" + disk + ",format=raw,if=virtio"},
		k, initrd, "console=ttyS0 quiet panic=1", console)
	return nil
}

// ready waits until the agent has said so: resuming a job does not wait for it.
const ready = "for i in $(seq 30); do systemctl is-active -q ratchetd && break; sleep 1; done; "

func (g *gateway) starts(ctx context.Context) (row, error) {
	began := time.Now()
	s, err := g.run(ctx, g.machine, "starts", shell("system", ready+"cat /proc/1/comm; systemctl is-active ratchetd; systemctl show -p Type --value ratchetd"),
		shell("outside", "systemd-run --quiet --collect --scope -- cat /proc/self/cgroup")) // as a job upgrades the agent's package without D-Bus
	text := fmt.Sprintf("%s, %.0f s: %s; outside the unit: %s", s.State, time.Since(began).Seconds(), flat(s.output("system")), flat(s.output("outside")))
	if err == nil && (flat(s.output("system")) != "systemd active notify" || !strings.Contains(s.output("outside"), ".scope")) {
		err = errors.New(text)
	}
	return row{"starts", text}, err
}

// hangs stops the daemon with SIGSTOP while a step runs.
func (g *gateway) hangs(ctx context.Context) (row, error) {
	s, err := g.run(ctx, g.machine, "hangs",
		shell("arm", `systemd-run --on-active=3 sh -c 'kill -STOP $(systemctl show -p MainPID --value ratchetd)'`),
		shell("wait", "sleep 10; systemctl show -p NRestarts --value ratchetd; journalctl -u ratchetd --no-pager | grep -m1 -o 'Watchdog timeout.*'"))
	text := fmt.Sprintf("%s: restarts, journal: %s; %s", s.State, flat(s.output("wait")), attempts(s))
	if err == nil && (s.State != "succeeded" || !strings.HasPrefix(flat(s.output("wait")), "1 Watchdog timeout")) {
		err = errors.New(text)
	}
	return row{"hangs (SIGSTOP in a step; WatchdogSec=20s)", text}, err
}

func (g *gateway) reboots(ctx context.Context) (row, error) {
	s, err := g.run(ctx, g.machine, "reboots", step("reboot", "reboot", map[string]any{}),
		shell("after", ready+"systemctl is-active ratchetd; systemctl show -p NRestarts --value ratchetd"))
	text := fmt.Sprintf("%s: %s", s.State, flat(s.output("after")))
	if err == nil && flat(s.output("after")) != "active 0" {
		err = errors.New(text)
	}
	return row{"reboots", text}, err
}
