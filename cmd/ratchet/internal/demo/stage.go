// Package demo sets up a broker, a file server and devices on this machine, lets
// a job run on them, cuts the power of one and gives account of what really ran.
// It shows nothing itself.
package demo

import (
	"context"
	_ "embed"
	"errors"
	"fmt"
	"os"
	"os/exec"
	"path/filepath"
	"strings"
	"time"

	"github.com/ratchetd/ratchet/agent/dialect"
	"github.com/ratchetd/ratchet/cmd/ratchet/internal/broker"
	"github.com/ratchetd/ratchet/cmd/ratchet/internal/fleet"
	"github.com/ratchetd/ratchet/cmd/ratchet/internal/jobfile"
	"github.com/ratchetd/ratchet/cmd/ratchet/internal/link"
)

//go:embed job.yaml
var jobText string

const (
	startLimit = 15 * time.Second // for all devices to come online
	fetchSize  = 256 << 10        // bytes that step 2 fetches
	powerIsOff = 1500 * time.Millisecond
	cutDevice  = 1 // gw-2
	cutStep    = "install"
	quietStep  = "settings" // writes a file and leaves no other mark
)

// FindDaemon returns the path of ratchetd: as named, or beside this program, or
// where programs are looked for.
func FindDaemon(named string) (string, error) {
	if named != "" {
		path, err := exec.LookPath(named)
		if err != nil {
			return "", fmt.Errorf("finding ratchetd: %w", err)
		}
		return filepath.Abs(path)
	}
	if self, err := os.Executable(); err == nil {
		if path, err := exec.LookPath(filepath.Join(filepath.Dir(self), "ratchetd")); err == nil {
			return path, nil
		}
	}
	path, err := exec.LookPath("ratchetd")
	if err != nil {
		return "", errors.New("ratchetd does not lie beside ratchet: put it there, or say where it is with --ratchetd PATH")
	}
	return path, nil
}

// A Stage is all that the demo sets up, and takes down again.
type Stage struct {
	Client *link.Client // once it is set
	Job    *fleet.Job   // what is offered, and what the devices say

	dir     string
	broker  string
	depot   *depot
	daemons []*daemon
	undo    []func()
}

func (st *Stage) later(f func()) { st.undo = append(st.undo, f) }

// Clear takes down what Set has set up, also where that was not all.
func (st *Stage) Clear() {
	for i := len(st.undo) - 1; i >= 0; i-- {
		st.undo[i]()
	}
}

// Set starts everything and waits until all devices are online. The binary is
// ratchetd's.
func (st *Stage) Set(ctx context.Context, binary string) error {
	var err error
	if st.dir, err = os.MkdirTemp("", "ratchet-demo-"); err != nil {
		return fmt.Errorf("making a folder: %w", err)
	}
	st.later(func() { _ = os.RemoveAll(st.dir) })
	var stop func()
	if st.broker, stop, err = broker.Start(); err != nil {
		return err
	}
	st.later(stop)
	if st.depot, err = startDepot(fetchSize); err != nil {
		return err
	}
	st.later(st.depot.stop)
	for _, name := range []string{"gw-1", "gw-2", "gw-3"} {
		d, err := newDaemon(binary, st.dir, name, st.broker)
		if err != nil {
			return err
		}
		st.daemons = append(st.daemons, d)
		if err := d.start(); err != nil {
			return err
		}
		st.later(d.stop)
	}
	if st.Client, err = link.Connect(ctx, link.Options{Broker: st.broker, Root: "ratchet/v1"}); err != nil {
		return err
	}
	st.later(st.Client.Close)
	st.Job = fleet.NewJob("demo", true)
	return st.online(ctx)
}

// online waits until every device has said that it is there.
func (st *Stage) online(ctx context.Context) error {
	ctx, cancel := context.WithTimeoutCause(ctx, startLimit, fmt.Errorf("not all devices are online after %v", startLimit))
	defer cancel()
	if err := st.Client.Subscribe(ctx, fleet.Filters(st.Client.Root(), st.Job.Parts()...)...); err != nil {
		return err
	}
	beat := time.NewTicker(100 * time.Millisecond)
	defer beat.Stop()
	for there := 0; there < len(st.daemons); {
		select {
		case m := <-st.Client.Feed():
			st.Job.Apply(m)
		case <-beat.C:
		case <-ctx.Done():
			return context.Cause(ctx)
		}
		there = 0
		for _, d := range st.daemons {
			if err := d.gone(); err != nil {
				return err
			}
			if st.Job.Device(d.device).Presence.Online {
				there++
			}
		}
	}
	return nil
}

// Offer sends each device the job, with its own folder in it.
func (st *Stage) Offer(ctx context.Context) error {
	for _, d := range st.daemons {
		filled := strings.NewReplacer("DIR", d.work(), "URL", st.depot.url+"/"+d.device, "SHA256", st.depot.sha256).Replace(jobText)
		text, _, err := jobfile.FromYAML([]byte(filled))
		if err != nil {
			return err
		}
		m := link.Message{Topic: dialect.Topic{To: "device/" + d.device, Name: st.Job.ID}, Payload: text}
		if err := st.Client.Publish(ctx, m.Topic, m.Payload); err != nil {
			return err
		}
		st.Job.Apply(m)
	}
	return nil
}

// CutAndReturn cuts the power of one device when its step has really begun, and
// gives it back. What it does it notes.
func (st *Stage) CutAndReturn(ctx context.Context, notes chan<- string) error {
	d := st.daemons[cutDevice]
	for d.ran()[cutStep] == 0 {
		if err := pause(ctx, 20*time.Millisecond); err != nil {
			return err
		}
	}
	if err := pause(ctx, 700*time.Millisecond); err != nil { // well inside
		return err
	}
	d.cutPower()
	notes <- fmt.Sprintf("-- %s: power cut inside step 3 (%s), by SIGKILL", d.device, cutStep)
	if err := pause(ctx, powerIsOff); err != nil {
		return err
	}
	notes <- fmt.Sprintf("-- %s: power is back", d.device)
	return d.start()
}

func pause(ctx context.Context, d time.Duration) error {
	select {
	case <-time.After(d):
		return nil
	case <-ctx.Done():
		return context.Cause(ctx)
	}
}
