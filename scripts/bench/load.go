package main

import (
	"context"
	"fmt"
	"os"
	"os/exec"
	"path/filepath"
	"regexp"
	"strconv"
	"strings"
	"syscall"
	"time"
)

// waiting is how many jobs a burst has.
const waiting = 500

// A load is what something took of a daemon.
type load struct {
	most, after memory
	cpu         time.Duration // with the worker of a data step, without the jobs' own programs
	collections int
}

func (l load) String() string {
	return fmt.Sprintf("%.1f s, %d", l.cpu.Seconds(), l.collections)
}

// under does something, and returns what that takes. Where a child works for the
// daemon, its time counts.
func (d *daemon) under(ctx context.Context, children bool, do func() error) (l load, err error) {
	cpu, collections := d.processor(children), d.collections()
	if l.most, err = d.most(do); err != nil {
		return l, err
	}
	l.cpu, l.collections = d.processor(children)-cpu, d.collections()-collections
	l.after, err = d.settled(ctx)
	return l, err
}

// processor is what the daemon has had of it.
func (d *daemon) processor(children bool) time.Duration {
	text, _ := os.ReadFile(fmt.Sprintf("/proc/%d/stat", d.cmd.Process.Pid))
	_, rest, _ := strings.Cut(string(text), ") ")
	f := strings.Fields(rest)
	if len(f) < 15 {
		return 0 // it has ended
	}
	f = f[11:15] // its own in the program and in the kernel, then its children's
	if !children {
		f = f[:2]
	}
	sum := 0
	for _, ticks := range f {
		n, _ := strconv.Atoi(ticks)
		sum += n
	}
	return time.Duration(sum) * 10 * time.Millisecond
}

var collected = regexp.MustCompile(`(?m)^gc \d+ @`)

// collections is how often Go's collector of the daemon has run.
func (d *daemon) collections() int {
	log, _ := os.ReadFile(d.log) // there is one since its start
	return len(collected.FindAll(log, -1))
}

// A footprint is what a program needs of a board.
type footprint struct {
	idle        memory
	burst, full load // 500 jobs that waited; a start with a full journal, all offered again
}

// device is one of a name, which runs the program with the environment.
func (b *bench) device(name string, p program, env []string) (*daemon, error) {
	d, err := b.configure(name, filepath.Join(b.dir, name, "state"))
	if err == nil {
		d.program, d.env = p.path, traced(env)
	}
	return d, err
}

// traced has Go report each collection.
func traced(env []string) []string {
	debug := "GODEBUG=gctrace=1"
	for _, v := range env {
		if more, ok := strings.CutPrefix(v, "GODEBUG="); ok {
			debug += "," + more
		}
	}
	return append(append([]string{}, env...), debug) // the last one holds
}

// footprint measures three devices, each of which begins again.
func (b *bench) footprint(ctx context.Context, name string, p program, env []string) (f footprint, err error) {
	d, err := b.device(name, p, env)
	if err != nil {
		return f, err
	}
	if err := d.ready(ctx); err != nil {
		return f, err
	}
	f.idle, err = d.settled(ctx)
	d.end(syscall.SIGTERM)
	if err != nil {
		return f, err
	}
	if f.burst, err = b.burst(ctx, name+"-crowd", p, env); err != nil {
		return f, fmt.Errorf("%d jobs: %w", waiting, err)
	}
	if !p.little {
		return f, nil // it cannot read what this machine fills, and would take hours to fill one
	}
	if f.full, err = b.knowing(ctx, p, env); err != nil {
		return f, fmt.Errorf("a full journal: %w", err)
	}
	return f, nil
}

func (b *bench) burst(ctx context.Context, name string, p program, env []string) (l load, err error) {
	jobs, err := b.crowd(name, waiting)
	if err != nil {
		return l, err
	}
	d, err := b.device(name, p, env)
	if err != nil {
		return l, err
	}
	if err := d.start(); err != nil {
		return l, err
	}
	defer d.end(syscall.SIGTERM)
	return d.under(ctx, false, func() error { _, err := d.all(ctx, jobs); return err })
}

// knowing starts a device with a copy of a full journal.
func (b *bench) knowing(ctx context.Context, p program, env []string) (l load, err error) {
	full, err := b.fill(ctx)
	if err != nil {
		return l, err
	}
	state := full + "-copy"
	defer os.RemoveAll(state)
	if err := exec.Command("cp", "-a", full, state).Run(); err != nil {
		return l, err
	}
	d, err := b.configure("full", state)
	if err != nil {
		return l, err
	}
	d.program, d.env = p.path, traced(env)
	if err := d.start(); err != nil {
		return l, err
	}
	defer d.end(syscall.SIGTERM)
	job := fmt.Sprintf("new-%d", time.Now().UnixNano())
	l, err = d.under(ctx, false, func() error { _, err := d.do(ctx, job, noop); return err })
	if err != nil {
		return l, err
	}
	// The next one does not know it, and has no room for more.
	return l, b.broker.Publish("ratchet/v1/jobs/device/full/"+job, nil, true, 1)
}

// fill makes a journal that knows as many jobs as it may, and returns where it lies.
func (b *bench) fill(ctx context.Context) (string, error) {
	state := filepath.Join(b.dir, "filled")
	if _, err := os.Stat(state); err == nil {
		return state, nil
	}
	d, err := b.configure("full", state)
	if err != nil {
		return "", err
	}
	d.program = b.filler.path
	var marks []<-chan status // each is waited for by itself: all of them take long
	for i := range b.ids {
		job := fmt.Sprintf("known-%04d", i)
		if i%100 == 0 || i == b.ids-1 {
			marks = append(marks, b.broker.follow(d.device, job))
		}
		if err := b.broker.offer(d.device, job, `"when":"false",`+noop); err != nil {
			return "", err
		}
	}
	if err := d.start(); err != nil {
		return "", err
	}
	defer d.end(syscall.SIGTERM)
	for _, job := range marks {
		if _, err := d.wait(ctx, job, status.final); err != nil {
			return "", err
		}
	}
	return state, nil
}
