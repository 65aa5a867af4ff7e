package sim

import (
	"context"
	"errors"
	"fmt"
	"os"
	"path/filepath"
	"strconv"
	"strings"
	"sync"
	"time"

	"github.com/ratchetd/ratchet/cmd/ratchet/internal/link"
)

// Plan is what is simulated. The same plan is the same fleet.
type Plan struct {
	Devices int
	Seed    int64
	Faults  Faults
	Step    time.Duration // what a step takes, half as much to half as much again
	State   string        // the folder in which the devices have theirs; empty is one in memory, where there is one
	Link    link.Options
}

// Check says what is wrong with a plan.
func (p Plan) Check() error {
	switch {
	case p.Devices < 1 || p.Devices > 100_000:
		return errors.New("-n: want 1 to 100000 devices")
	case p.Step < 0:
		return errors.New("--step: want a time")
	case p.Faults.AtStep < 1:
		return errors.New("--fail: want a step from 1, such as 3%@2")
	}
	return p.Faults.Check()
}

func (p Plan) id(i int) string { return fmt.Sprintf("sim-%05d", i) }

// has reports whether a device is one of the plan's.
func (p Plan) has(id string) bool {
	n, err := strconv.Atoi(strings.TrimPrefix(id, "sim-"))
	return err == nil && n >= 0 && n < p.Devices && id == p.id(n)
}

// A Fleet is the devices of a plan. Make it with New.
type Fleet struct {
	plan    Plan
	dir     string
	devices []*device
	away    map[string]bool
	flaps   map[string]bool

	mu       sync.Mutex
	failing  map[string]map[string]bool // by job: the devices that fail it
	troubles []error

	flapping sync.WaitGroup
}

// New makes the devices' folder. Close removes it.
func New(p Plan) (*Fleet, error) {
	in := p.State
	if info, err := os.Stat("/dev/shm"); in == "" && err == nil && info.IsDir() {
		in = "/dev/shm"
	}
	dir, err := os.MkdirTemp(in, "ratchet-simulate-")
	if err != nil {
		return nil, fmt.Errorf("a folder for the devices: %w: name another with --state", err)
	}
	if err := p.keepPassword(dir); err != nil {
		return nil, errors.Join(err, os.RemoveAll(dir))
	}
	f := &Fleet{plan: p, dir: dir, away: p.share(p.Faults.Offline, "offline"), flaps: p.share(p.Faults.Flapping, "flap"), failing: map[string]map[string]bool{}}
	slow, wrong, old := p.share(p.Faults.Slow, "slow"), p.share(p.Faults.Clock, "clock"), p.share(p.Faults.Old, "old")
	for i := range p.Devices {
		id := p.id(i)
		d := &device{id: id, dir: filepath.Join(dir, id), fleet: f, truth: newTruth(), slow: slow[id], old: old[id]}
		if wrong[id] {
			d.wrong = wrongBy(p.Seed, id)
		}
		f.devices = append(f.devices, d)
	}
	return f, nil
}

// keepPassword writes a password that no file has beside the devices: they read it
// from one.
func (p *Plan) keepPassword(dir string) error {
	if p.Link.Password == nil || p.Link.PasswordFile != "" {
		return nil
	}
	word, err := p.Link.Password()
	if err != nil {
		return err
	}
	p.Link.PasswordFile = filepath.Join(dir, "password")
	return os.WriteFile(p.Link.PasswordFile, []byte(word), 0o600)
}

// spread is how long the first connects take together: a broker bears some hundred
// handshakes a second.
func (f *Fleet) spread() time.Duration {
	return time.Duration(f.plan.Devices) * time.Second / 200
}

// fails reports whether a device is one of those that fail the job at this step.
func (f *Fleet) fails(d *device, job string, step int) bool {
	if step != f.plan.Faults.AtStep || f.plan.Faults.Failing == 0 {
		return false
	}
	f.mu.Lock()
	defer f.mu.Unlock()
	if f.failing[job] == nil {
		f.failing[job] = f.plan.share(f.plan.Faults.Failing, "fail", job)
	}
	return f.failing[job][d.id]
}

func (f *Fleet) trouble(err error) {
	f.mu.Lock()
	defer f.mu.Unlock()
	f.troubles = append(f.troubles, err)
}

// Start starts all devices.
func (f *Fleet) Start(ctx context.Context) error {
	for _, d := range f.devices {
		if ctx.Err() != nil {
			return context.Cause(ctx)
		}
		if err := d.start(); err != nil {
			return err
		}
	}
	return nil
}

// Leave lets those go away that are to be away, and the others begin to come and go
// that do so, until ctx ends.
func (f *Fleet) Leave(ctx context.Context) {
	f.each(func(d *device) {
		if f.away[d.id] && d.stop != nil {
			d.stop()
		}
	})
	for i, d := range f.devices {
		if f.flaps[d.id] && !f.away[d.id] {
			f.flapping.Go(func() { f.flap(ctx, d, int64(i)) })
		}
	}
}

// flap stops a device and lets it come back until ctx ends. It is there then.
func (f *Fleet) flap(ctx context.Context, d *device, n int64) {
	for turn := 0; ; turn++ {
		up := 5*time.Second + time.Duration(draw(f.plan.Seed+n, "up", fmt.Sprint(turn))*float64(20*time.Second))
		select {
		case <-ctx.Done():
			return
		case <-time.After(up):
		}
		d.stop()
		select {
		case <-ctx.Done():
		case <-time.After(time.Duration(1+draw(f.plan.Seed+n, "down", fmt.Sprint(turn))*4) * time.Second):
		}
		if err := d.start(); err != nil {
			f.trouble(err)
			return
		}
	}
}

// each does something with all devices, many at a time.
func (f *Fleet) each(do func(*device)) {
	var all sync.WaitGroup
	places := make(chan struct{}, 64)
	for _, d := range f.devices {
		places <- struct{}{}
		all.Go(func() {
			do(d)
			<-places
		})
	}
	all.Wait()
}

// Settle waits for those that come and go to be there, once the context of Leave
// has ended.
func (f *Fleet) Settle() { f.flapping.Wait() }

// stop ends all devices.
func (f *Fleet) stop() {
	f.each(func(d *device) {
		if d.stop != nil {
			d.stop()
		}
	})
}

// Close ends what still runs, once the context of Leave has ended, and removes the devices' folder. What an agent said
// of its end is the error.
func (f *Fleet) Close() error {
	f.Settle()
	f.stop()
	f.mu.Lock()
	defer f.mu.Unlock()
	return errors.Join(append(f.troubles, os.RemoveAll(f.dir))...)
}
