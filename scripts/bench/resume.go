package main

import (
	"context"
	"fmt"
	"os"
	"path/filepath"
	"syscall"
	"time"
)

// measureResume kills a daemon within a step and times how long after its next
// start the step runs again.
func (b *bench) measureResume(ctx context.Context) error {
	d, err := b.configure("resume", filepath.Join(b.dir, "resume", "state"))
	if err != nil {
		return err
	}
	defer d.end(syscall.SIGTERM)
	if err := d.ready(ctx); err != nil {
		return err
	}
	var list []time.Duration
	for i := range 5 {
		took, err := d.resume(ctx, fmt.Sprintf("cut-%d", i))
		if err != nil {
			return err
		}
		list = append(list, took)
	}
	fmt.Print("After a kill -9 within a step\n\n")
	table{
		{"", "median", "longest"},
		{"from the start of the program to the resumed step", micro(median(list)), micro(quantile(list, 1))},
	}.print()
	return nil
}

func (d *daemon) resume(ctx context.Context, job string) (time.Duration, error) {
	marks := filepath.Join(d.b.dir, job)
	statuses := d.b.broker.follow(d.device, job)
	step := fmt.Sprintf(`"command":{"shell":"echo >> %s; exec sleep 600"}`, marks)
	if err := d.b.broker.offer(d.device, job, step); err != nil {
		return 0, err
	}
	if err := d.grown(ctx, marks, 1); err != nil {
		return 0, err
	}
	d.end(syscall.SIGKILL)
	begun := time.Now()
	if err := d.start(); err != nil {
		return 0, err
	}
	if err := d.grown(ctx, marks, 2); err != nil {
		return 0, err
	}
	took := time.Since(begun)
	if err := d.b.broker.cancel(d.device, job); err != nil {
		return 0, err
	}
	_, err := d.wait(ctx, statuses, status.final)
	return took, err
}

// grown waits until the file has size bytes.
func (d *daemon) grown(ctx context.Context, file string, size int64) error {
	for deadline := time.Now().Add(30 * time.Second); time.Now().Before(deadline); {
		if info, err := os.Stat(file); err == nil && info.Size() >= size {
			return nil
		}
		if err := sleep(ctx, 500*time.Microsecond); err != nil {
			return err
		}
	}
	return d.late("the daemon did not begin the step within 30 seconds")
}
