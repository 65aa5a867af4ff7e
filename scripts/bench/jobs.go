package main

import (
	"context"
	"fmt"
	"os"
	"os/exec"
	"path/filepath"
	"slices"
	"syscall"
	"time"
)

func (b *bench) measureJobs(ctx context.Context) error {
	d, err := b.configure("jobs", filepath.Join(b.dir, "jobs", "state"))
	if err != nil {
		return err
	}
	first, final, err := d.latencies(ctx, 20)
	d.end(syscall.SIGTERM)
	if err != nil {
		return err
	}
	rate, err := b.throughput(ctx, 500)
	if err != nil {
		return err
	}
	sync, err := syncFloor(b.dir, 200)
	if err != nil {
		return err
	}
	fork, err := forkFloor(50)
	if err != nil {
		return err
	}
	fmt.Printf("Jobs, each step a `true`; one append and fdatasync on this disk takes %s, one fork and exec %s\n\n", micro(median(sync)), micro(median(fork)))
	table{
		{"", "median", "p90"},
		{"publish to first status", micro(median(first)), micro(p90(first))},
		{"publish to final status, 10 steps", micro(median(final)), micro(p90(final))},
		{"the floor of that: 12 syncs and 10 forks", micro(12*median(sync) + 10*median(fork)), ""},
		{"jobs a second, 500 of one step waiting", fmt.Sprintf("%.0f", rate), ""},
		{"the floor of that: 3 syncs and a fork each", fmt.Sprintf("%.0f", 1/(3*median(sync)+median(fork)).Seconds()), ""},
	}.print()
	return nil
}

func (d *daemon) latencies(ctx context.Context, rounds int) (first, final []time.Duration, err error) {
	if err := d.ready(ctx); err != nil {
		return nil, nil, err
	}
	for i := range rounds {
		c, err := d.do(ctx, fmt.Sprintf("ten-%d", i), slices.Repeat([]string{noop}, 10)...)
		if err != nil {
			return nil, nil, err
		}
		first, final = append(first, c.first), append(final, c.final)
	}
	return first, final, nil
}

// throughput offers n jobs to a device that is away, lets it come, and counts
// from the first job's success to the last one's.
func (b *bench) throughput(ctx context.Context, n int) (float64, error) {
	jobs, err := b.crowd("crowd", n)
	if err != nil {
		return 0, err
	}
	d, err := b.configure("crowd", filepath.Join(b.dir, "crowd", "state"))
	if err != nil {
		return 0, err
	}
	if err := d.start(); err != nil {
		return 0, err
	}
	defer d.end(syscall.SIGTERM)
	done, err := d.all(ctx, jobs)
	if err != nil {
		return 0, err
	}
	begun, ended := slices.MinFunc(done, time.Time.Compare), slices.MaxFunc(done, time.Time.Compare)
	return float64(n-1) / ended.Sub(begun).Seconds(), nil
}

// crowd offers n jobs to a device that is away.
func (b *bench) crowd(device string, n int) (jobs []<-chan status, err error) {
	for i := range n {
		job := fmt.Sprintf("small-%d", i)
		jobs = append(jobs, b.broker.follow(device, job))
		if err := b.broker.offer(device, job, noop); err != nil {
			return nil, err
		}
	}
	return jobs, nil
}

// all waits for the success of the jobs, and returns when each one came.
func (d *daemon) all(ctx context.Context, jobs []<-chan status) (done []time.Time, err error) {
	for i, statuses := range jobs {
		s, err := d.wait(ctx, statuses, status.final)
		if err != nil {
			return nil, err
		}
		if s.State != "succeeded" {
			return nil, fmt.Errorf("job small-%d %s: %s", i, s.State, s.Reason)
		}
		done = append(done, s.at)
	}
	return done, nil
}

// syncFloor times an append of 128 bytes with fdatasync in dir.
func syncFloor(dir string, rounds int) ([]time.Duration, error) {
	f, err := os.CreateTemp(dir, "floor")
	if err != nil {
		return nil, err
	}
	defer os.Remove(f.Name())
	defer f.Close()
	return times(rounds, func() error { return appendSync(f) })
}

func appendSync(f *os.File) error {
	if _, err := f.Write(make([]byte, 128)); err != nil {
		return err
	}
	return syscall.Fdatasync(int(f.Fd()))
}

func forkFloor(rounds int) ([]time.Duration, error) {
	return times(rounds, func() error { return exec.Command("true").Run() })
}

func times(rounds int, do func() error) ([]time.Duration, error) {
	var list []time.Duration
	for range rounds {
		begun := time.Now()
		if err := do(); err != nil {
			return nil, err
		}
		list = append(list, time.Since(begun))
	}
	return list, nil
}
