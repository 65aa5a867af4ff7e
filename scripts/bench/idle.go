package main

import (
	"context"
	"fmt"
	"os"
	"path/filepath"
	"strconv"
	"strings"
	"syscall"
	"time"
)

// usage is what the kernel says of a process at one moment.
type usage struct {
	rss, anonymous int64 // bytes
	threads        int
	wakeups        int64
	cpu            time.Duration
	written        int64 // bytes; an upper limit on kernels with large folios
}

func (b *bench) measureIdle(ctx context.Context) error {
	d, err := b.configure("idle", filepath.Join(b.dir, "idle", "state"))
	if err != nil {
		return err
	}
	if err := d.ready(ctx); err != nil {
		return err
	}
	defer d.end(syscall.SIGTERM)
	fmt.Printf("Idle: connected with mutual TLS, health sampled every 30 s and sent every minute; watched for %s\n\n", b.idle)
	if err := sleep(ctx, b.idle/2); err != nil {
		return err
	}
	before, err := readUsage(d.cmd.Process.Pid)
	if err != nil {
		return err
	}
	if err := sleep(ctx, b.idle); err != nil {
		return err
	}
	after, err := readUsage(d.cmd.Process.Pid)
	if err != nil {
		return err
	}
	minutes := b.idle.Minutes()
	table{
		{"RSS", "anonymous", "threads", "wakeups/s", "CPU ms/min", "bytes written/min"},
		{kB(after.rss), kB(after.anonymous), fmt.Sprint(after.threads),
			fmt.Sprintf("%.2f", float64(after.wakeups-before.wakeups)/b.idle.Seconds()),
			fmt.Sprintf("%.1f", float64((after.cpu-before.cpu).Microseconds())/1000/minutes),
			fmt.Sprintf("%.0f", float64(after.written-before.written)/minutes)},
	}.print()
	return nil
}

func kB(n int64) string { return fmt.Sprintf("%d kB", n>>10) }

func readUsage(pid int) (usage, error) {
	dir := filepath.Join("/proc", strconv.Itoa(pid))
	var u usage
	var err error
	if u.rss, err = field(filepath.Join(dir, "smaps_rollup"), "Rss:"); err != nil {
		return u, err
	}
	if u.anonymous, err = field(filepath.Join(dir, "smaps_rollup"), "Anonymous:"); err != nil {
		return u, err
	}
	u.rss, u.anonymous = u.rss<<10, u.anonymous<<10
	if u.written, err = field(filepath.Join(dir, "io"), "write_bytes:"); err != nil {
		return u, err
	}
	tasks, err := filepath.Glob(filepath.Join(dir, "task/*"))
	for _, task := range tasks {
		n, err := field(filepath.Join(task, "status"), "voluntary_ctxt_switches:")
		if err != nil {
			return u, err
		}
		u.threads, u.wakeups = u.threads+1, u.wakeups+n
		u.cpu += onCPU(task)
	}
	return u, err
}

// onCPU is exact to the nanosecond, where /proc/PID/stat counts ticks of 10 ms.
func onCPU(task string) time.Duration {
	text, _ := os.ReadFile(filepath.Join(task, "schedstat"))
	first, _, _ := strings.Cut(string(text), " ")
	n, _ := strconv.ParseInt(first, 10, 64)
	return time.Duration(n)
}

// field is the number behind a name in a file of /proc.
func field(file, name string) (int64, error) {
	text, err := os.ReadFile(file)
	if err != nil {
		return 0, err
	}
	for row := range strings.Lines(string(text)) {
		if f := strings.Fields(row); len(f) > 1 && f[0] == name {
			return strconv.ParseInt(f[1], 10, 64)
		}
	}
	return 0, fmt.Errorf("%s: no %s in it", file, name)
}
