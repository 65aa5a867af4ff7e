package main

import (
	"context"
	_ "embed"
	"errors"
	"fmt"
	"math/rand/v2"
	"net"
	"os"
	"path/filepath"
	"strings"
	"time"

	"github.com/ratchetd/ratchet/scripts/vm/machine"
)

const (
	// bootPatience is how long a machine may take until something of it is seen.
	bootPatience = 3 * time.Minute
	// drainPatience is how long the jobs may take once nothing is cut any more.
	drainPatience = 15 * time.Minute
)

// A rig is the machine, its disk, and what surrounds it.
type rig struct {
	setup
	random *rand.Rand

	*outside
	disk    *disk
	machine *machine.Machine
	build   *builder
	jobs    []*job
	looks   int
	looked  string       // the job that looked at what is there last
	root    machine.Tree // the system in the machine
	broken  int          // violations in states
	drained bool         // all that was offered has had the time to end
}

func (r *rig) path(name string) string { return filepath.Join(r.dir, name) }

// start makes the machine with an empty journal.
func (r *rig) start() (err error) {
	r.outside, err = newOutside(newRecord(), r.brokerAt, r.filesAt)
	if err != nil {
		return err
	}
	r.build = &builder{random: r.random, out: r.outside}
	d, err := machine.NewDebian(r.cache, "amd64")
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
	busybox := filepath.Join(guest, "bin/busybox")
	if err := r.system(k, busybox); err != nil {
		return err
	}
	if err := r.format(); err != nil {
		return err
	}
	socket, console := r.path("nbd"), r.path("console.log")
	_, _ = os.Remove(socket), os.Remove(console) // there may be none
	l, err := net.Listen("unix", socket)
	if err != nil {
		return err
	}
	go serve(l, map[string]export{"data": r.disk, "marks": slate{r.record}})
	qemu := strings.Fields("qemu-system-x86_64 -M pc -cpu qemu64,+rdrand -m 192")
	for _, name := range []string{"data", "marks"} {
		qemu = append(qemu, "-drive", "file=nbd:unix:"+socket+":exportname="+name+",format=raw,if=none,cache=writeback,id="+name, "-device", "virtio-blk-pci,drive="+name)
	}
	r.machine = machine.New(qemu, k, r.path("initrd"), fmt.Sprintf("console=ttyS0 quiet loglevel=4 panic=1 type=%s options=%s", r.fs, r.options), console)
	return nil
}

// unfinished are the jobs that are not final yet.
func (r *rig) unfinished() (jobs []*job) {
	for _, j := range r.jobs {
		if !r.status(j.id).final() {
			jobs = append(jobs, j)
		}
	}
	return jobs
}

// feed offers jobs until some are waiting.
func (r *rig) feed() error {
	for len(r.unfinished()) < 3 {
		j := r.build.next()
		r.jobs = append(r.jobs, j)
		if err := r.offer(j.id, j.text()); err != nil {
			return err
		}
	}
	return nil
}

var errSilent = errors.New("the machine came up and nothing of it was seen")

// life is the machine being on once, until its power fails by itself (a reboot),
// or by us. It says which.
func (r *rig) life(ctx context.Context, when func() <-chan time.Time, struck <-chan struct{}) (cut bool, err error) {
	seen := r.wait()
	on, err := r.machine.On()
	if err != nil {
		return false, err
	}
	defer on.Off()
	silent := time.After(bootPatience)
	select {
	case <-seen:
	case <-on.Done:
		return false, nil
	case <-ctx.Done():
		return false, context.Cause(ctx)
	case <-silent:
		return false, errSilent
	}
	select {
	case <-when():
	case <-struck:
	case <-on.Done:
		return false, nil
	case <-ctx.Done():
		return false, context.Cause(ctx)
	}
	return true, nil
}

// between is after how many cuts all jobs are given the time to end, and judged.
const between = 15

// play has the power fail as often as it is to, or until something is found.
func (r *rig) play(ctx context.Context) error {
	for made := 0; made < r.cuts; {
		n := min(between, r.cuts-made)
		if err := r.fail(ctx, made, n); err != nil {
			return err
		}
		made += n
		if err := r.drain(ctx); err != nil || len(r.judge().judge(true)) > 0 {
			return err
		}
	}
	return nil
}

// fail has the power fail n times more.
func (r *rig) fail(ctx context.Context, before, n int) error {
	r.drained = false
	for made := 0; made < n; {
		if err := r.feed(); err != nil {
			return err
		}
		p := policies[r.random.IntN(len(policies))]
		after, ops := time.Duration(r.random.IntN(7000))*time.Millisecond, -1
		var struck <-chan struct{}
		if r.random.IntN(2) == 0 {
			ops, after = 1+r.random.IntN(300), 20*time.Second
			struck = r.disk.strike()
		}
		stop := r.meddle()
		cut, err := r.life(ctx, func() <-chan time.Time {
			if ops >= 0 {
				r.disk.aim(ops)
			}
			return time.After(after)
		}, struck)
		stop()
		if err != nil {
			return err
		}
		if !cut {
			p = all // it went off by itself, in order
		} else {
			made++
		}
		r.disk.cut(p, r.random)
		r.add(event{What: off, Comment: fmt.Sprintf("%d, %s", before+made, p)})
		if !r.quiet {
			fmt.Fprintf(r.out, "cut %d of %d (%s): %d jobs, %d unfinished\n", before+made, r.cuts, p, len(r.jobs), len(r.unfinished()))
		}
	}
	return nil
}

// meddle cancels a job at some moment, now and then.
func (r *rig) meddle() (stop func()) {
	open := r.unfinished()
	if len(open) == 0 || r.random.IntN(5) > 0 {
		return func() {}
	}
	j, after := open[r.random.IntN(len(open))], time.Duration(3000+r.random.IntN(6000))*time.Millisecond
	timer := time.AfterFunc(after, func() { _ = r.cancel(j.id) }) // a closed broker ends the run anyway
	return func() { timer.Stop() }
}

// drain leaves the power on until all jobs are final.
func (r *rig) drain(ctx context.Context) error {
	ctx, cancel := context.WithTimeoutCause(ctx, drainPatience, errors.New("jobs do not end"))
	defer cancel()
	r.looks++
	look := &job{id: fmt.Sprint("look-", r.looks), doc: map[string]any{}}
	look.add("command", map[string]any{"shell": "find /data -type f -exec sha256sum {} + > /run/list"}, step{}, nil)
	look.add("upload", map[string]any{"paths": []string{"/run/list"}, "url": r.url("/" + look.id)}, step{}, nil)
	offered := false
	for !r.status(look.id).final() {
		done := make(chan time.Time)
		stop := make(chan struct{})
		go func() {
			defer close(done)
			for {
				moved := r.wait()
				if len(r.unfinished()) == 0 && !offered {
					offered = true
					_ = r.offer(look.id, look.text())
				}
				if r.status(look.id).final() {
					return
				}
				select {
				case <-moved:
				case <-stop:
					return
				}
			}
		}()
		_, err := r.life(ctx, func() <-chan time.Time { return done }, nil)
		close(stop)
		<-done
		if err != nil {
			return err
		}
		r.disk.cut(all, r.random)
	}
	r.looked, r.drained = look.id, true
	return nil
}
