package main

import (
	"cmp"
	"context"
	"fmt"
	"os"
	"os/exec"
	"path/filepath"
	"strings"
	"syscall"
	"time"
)

// noop is a step that does nothing: what it costs is the agent's own work and one fork.
const noop = `"command":{"argv":["true"]}`

// named gives every step a name and its braces.
func named(steps []string) []string {
	var out []string
	for i, s := range steps {
		out = append(out, fmt.Sprintf(`{"name":"s%d",%s}`, i, s))
	}
	return out
}

// A daemon is a ratchetd with a configuration of its own, running or not.
type daemon struct {
	b      *bench
	device string
	config string
	log    string // a file

	program string   // unless it is the bench's
	env     []string // beside the bench's own
	cmd     *exec.Cmd
	ended   chan struct{} // closed when the process has ended
}

// configure writes a configuration for a device of this name, which keeps its state in state.
func (b *bench) configure(device, state string) (*daemon, error) {
	dir := filepath.Join(b.dir, device)
	if err := os.MkdirAll(dir, 0o700); err != nil {
		return nil, err
	}
	text := strings.NewReplacer("DEVICE", device, "STATE", state, "ADDR", b.broker.addr, "CERTS", b.dir).Replace(configText)
	d := &daemon{b: b, device: device, config: filepath.Join(dir, "ratchet.toml"), log: filepath.Join(dir, "log")}
	return d, os.WriteFile(d.config, []byte(text), 0o600)
}

const configText = `
device = "DEVICE"
state  = "STATE"

[link]
broker = "tls://ADDR"
spread = "0s"
ca     = "CERTS/ca.crt"
cert   = "CERTS/device.crt"
key    = "CERTS/device.key"

[telemetry]
every   = "30s"
publish = "1m"
`

func (d *daemon) start() error {
	log, err := os.Create(d.log)
	if err != nil {
		return err
	}
	defer log.Close()
	d.cmd = exec.Command(cmp.Or(d.program, d.b.daemon.path), "run", "--config", d.config)
	d.cmd.Env = append(os.Environ(), d.env...)
	d.cmd.Stdout, d.cmd.Stderr = log, log
	if err := d.cmd.Start(); err != nil {
		return err
	}
	d.ended = make(chan struct{})
	go func() {
		d.cmd.Wait()
		close(d.ended)
	}()
	return nil
}

// late is the error of a daemon that did not do in time what was waited for.
func (d *daemon) late(what string) error {
	log, err := os.ReadFile(d.log)
	if err != nil {
		return err
	}
	return fmt.Errorf("%s; it said:\n%s", what, log)
}

// end sends the signal and waits.
func (d *daemon) end(sig syscall.Signal) {
	if d.ended == nil {
		return
	}
	d.cmd.Process.Signal(sig)
	<-d.ended
}

// ready starts the daemon and runs jobs of one step until one of them was begun
// at once: what comes in the first seconds after a connect waits for a cancel behind it.
func (d *daemon) ready(ctx context.Context) error {
	if err := d.start(); err != nil {
		return err
	}
	if _, err := d.do(ctx, "warm-up", noop); err != nil {
		return err
	}
	return sleep(ctx, time.Second)
}

// A course is when the first and the final status of a job came, after its publication.
type course struct{ first, final time.Duration }

// do offers a job and waits for its success.
func (d *daemon) do(ctx context.Context, job string, steps ...string) (course, error) {
	statuses := d.b.broker.follow(d.device, job)
	begun := time.Now()
	if err := d.b.broker.offer(d.device, job, steps...); err != nil {
		return course{}, err
	}
	first, err := d.wait(ctx, statuses, func(status) bool { return true })
	if err != nil {
		return course{}, err
	}
	final := first
	if !first.final() {
		final, err = d.wait(ctx, statuses, status.final)
	}
	if err == nil && final.State != "succeeded" {
		err = fmt.Errorf("job %s %s: %s", job, final.State, final.Reason)
	}
	return course{first.at.Sub(begun), final.at.Sub(begun)}, err
}

func (d *daemon) wait(ctx context.Context, statuses <-chan status, want func(status) bool) (status, error) {
	limit := time.After(10 * time.Minute)
	for {
		select {
		case s := <-statuses:
			if want(s) {
				return s, nil
			}
		case <-ctx.Done():
			return status{}, ctx.Err()
		case <-d.ended:
			return status{}, d.late("the daemon ended")
		case <-limit:
			return status{}, d.late("no such status from the daemon within 10 minutes")
		}
	}
}

func sleep(ctx context.Context, d time.Duration) error {
	select {
	case <-time.After(d):
		return nil
	case <-ctx.Done():
		return ctx.Err()
	}
}
