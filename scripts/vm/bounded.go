package main

import (
	"context"
	_ "embed"
	"errors"
	"fmt"
	"io"
	"os"
	"path/filepath"
	"strings"
	"text/tabwriter"
	"time"

	"github.com/ratchetd/ratchet/scripts/vm/machine"
)

//go:embed guest/bounded.sh
var boundedScript string

// A board is a machine with 128 MB, and what of it differs from others.
type board struct {
	*place
	arch, debian, flavour string
	qemu                  []string
	console               string
}

var (
	pc   = board{arch: "amd64", debian: "amd64", flavour: "cloud-amd64", qemu: strings.Fields("qemu-system-x86_64 -M pc -cpu qemu64,+rdrand"), console: "ttyS0"}
	virt = board{arch: "armv7", debian: "armhf", flavour: "armmp", qemu: strings.Fields("qemu-system-arm -M virt,highmem=off -cpu cortex-a7"), console: "ttyAMA0"}
)

// crowd is how many jobs wait for the bounded agent.
const crowd = 500

// playBounded has a board's agent do an ordinary job, a data step and many
// waiting jobs in control groups that grant it less and less memory, and looks
// at what the kernel counts.
func playBounded(b board, bounds ...string) func(context.Context, *place, io.Writer) error {
	return func(ctx context.Context, p *place, out io.Writer) error {
		b.place = p
		table := tabwriter.NewWriter(out, 0, 0, 2, ' ', 0)
		fmt.Fprintf(table, "memory.max\tordinary job\tdata\t%d jobs\tkilled\tin kB\t\n", crowd)
		for _, bound := range bounds {
			seen, err := b.bounded(ctx, bound)
			if err != nil {
				return fmt.Errorf("%s: %w", bound, err)
			}
			fmt.Fprintln(table, strings.Join(seen, "\t")+"\t")
			if err := table.Flush(); err != nil {
				return err
			}
		}
		return nil
	}
}

// bounded is the row of one bound. An agent that gets nowhere is a result too.
func (b *board) bounded(ctx context.Context, bound string) ([]string, error) {
	broker, err := startBroker()
	if err != nil {
		return nil, err
	}
	defer broker.Close()
	m, err := b.machine(broker.port, bound)
	if err != nil {
		return nil, err
	}
	ctx, cancel := context.WithTimeoutCause(ctx, 8*time.Minute, errNoEnd)
	defer cancel()
	ended, fetch := make(chan struct{}), error(nil)
	go func() {
		defer close(ended)
		fetch = broker.crowded(ctx)
	}()
	_, err = m.Until(ctx, ended, machine.Never)
	if cancel(); !errors.Is(err, errNoEnd) && err != nil {
		return nil, err
	}
	<-ended
	if fetch != nil && !errors.Is(fetch, errNoEnd) {
		return nil, fetch
	}
	said, err := os.ReadFile(m.Console)
	return []string{bound, broker.state("ordinary"), broker.state("data"), fmt.Sprint(broker.succeeded("crowd-")),
		fmt.Sprint(strings.Count(string(said), "Killed process")), flat(broker.report("memory").output("memory"))}, err
}

var errNoEnd = errors.New("no end in eight minutes")

// crowded offers the jobs, and when they are done the one that looks.
func (b *broker) crowded(ctx context.Context) error {
	for _, offer := range []map[string][]any{
		{"ordinary": {shell("write", `yes '{"n":1,"text":"a line as a log has it"}' | head -n 20000 > /tmp/lines`),
			step("settings", "file", map[string]any{"path": "/etc/settings", "content": "listen = 1\n"}), shell("look", "cat /etc/settings")}},
		{"data": {step("sum", "data", map[string]any{"inputs": []string{"/tmp/lines"}, "format": "jsonl", "jq": "reduce inputs as $r (0; . + $r.n)", "output": "/tmp/sum"})}},
		many("crowd-", crowd),
		{"memory": {shell("memory", `sleep 20; grep -hE 'VmHWM|VmRSS|RssAnon' /proc/$(pidof ratchetd)/status; echo group, peak: $(($(cat /sys/fs/cgroup/agent/memory.peak) / 1024))`)}},
	} {
		var all []<-chan struct{}
		for job, steps := range offer {
			final, err := b.offer(job, steps)
			if err != nil {
				return err
			}
			all = append(all, final)
		}
		for _, final := range all {
			select {
			case <-final:
			case <-ctx.Done():
				return context.Cause(ctx)
			}
		}
	}
	return nil
}

func many(name string, n int) map[string][]any {
	jobs := map[string][]any{}
	for i := range n {
		jobs[fmt.Sprint(name, i)] = []any{shell("nothing", "true")}
	}
	return jobs
}

// state is what became of a job.
func (b *broker) state(job string) string {
	s := b.report(job)
	return strings.TrimSuffix(s.State+": "+s.Reason, ": ")
}

// succeeded counts the jobs whose names begin so.
func (b *broker) succeeded(name string) (n int) {
	b.mu.Lock()
	defer b.mu.Unlock()
	for job, s := range b.last {
		if strings.HasPrefix(job, name) && s.State == "succeeded" {
			n++
		}
	}
	return n
}

func (b *board) machine(port int, bound string) (*machine.Machine, error) {
	d, err := machine.NewDebian(b.cache, b.debian)
	if err != nil {
		return nil, err
	}
	k, err := d.Kernel(b.flavour)
	if err != nil {
		return nil, err
	}
	guest, err := d.Unpack("busybox-static")
	if err != nil {
		return nil, err
	}
	busybox := filepath.Join(guest, "bin/busybox")
	first := machine.Tree{}
	first.Applets([]string{"dev", "proc", "sys", "root"}, strings.Fields("sh mount insmod switch_root"))
	first.Text("init", diskScript)
	modules, err := k.Modules("virtio_pci", "virtio_blk", "virtio_net", "ext4", "crc32c_generic")
	if err != nil {
		return nil, err
	}
	disk, initrd, console := filepath.Join(b.dir, "disk"), filepath.Join(b.dir, "initrd"), filepath.Join(b.dir, bound+"-console.log")
	_ = os.Remove(console) // there may be none
	err = errors.Join(first.File("bin/busybox", busybox), first.Loads(modules), os.WriteFile(initrd, first.CPIO(), 0o644), b.root(disk, busybox, port))
	return machine.New(append(b.qemu, "-m", "128", "-drive", "file="+disk+",format=raw,if=none,id=root", "-device", "virtio-blk-pci,drive=root"),
		k, initrd, "console="+b.console+" quiet loglevel=5 panic=1 bound="+bound, console), err
}

// root is the board's disk.
func (b *board) root(disk, busybox string, port int) error {
	t := machine.Tree{}
	t.Applets([]string{"dev", "proc", "sys", "tmp", "root", "var", "etc/ratchet"}, append(applets, "grep", "head", "yes", "mkdir"))
	t.Text("sbin/init", "->/bin/busybox")
	t.Text("sbin/bounded", boundedScript)
	t.Text("etc/inittab", "::respawn:/sbin/bounded\n")
	t.Text("etc/passwd", "root:x:0:0:root:/:/bin/sh\n")
	t.Text("etc/ratchet/ratchet.toml", fmt.Sprintf("device = %q\n[link]\nbroker = \"tcp://10.0.2.2:%d\"\nspread = \"0s\"\n", device, port))
	return errors.Join(t.File("bin/busybox", busybox), t.File("usr/sbin/ratchetd", filepath.Join(b.built, "ratchetd-linux-"+b.arch)), machine.Ext4(disk, 64<<20, t))
}
