package steptest

import (
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"log/slog"
	"path/filepath"
	"time"

	"github.com/ratchetd/ratchet/executor"
)

// way is how a device is cut.
type way string

const (
	kill            way = "kill"                       // the page cache survives
	powerKeepsNames way = "power cut, names written"   // data that was not synced is lost
	powerLosesNames way = "power cut, names unwritten" // and names in directories too
)

// plan is where a run meets its fate: at the at-th point it is cut, or with a
// fault that operation fails.
type plan struct {
	at    int
	how   way
	fault error
}

var never = plan{}

var errDead = errors.New("the agent is dead")

// dead is what a kind is cut with.
type dead struct{}

// device is what a step runs on, with all that outlives a cut.
type device struct {
	kind       executor.Kind
	with       string
	dir, state string
	boot       int
	boots      func(dir string) error
	begun      string
	attempt    int
	saved      json.RawMessage
	disk       disk

	plan      plan
	points    []string
	isDead    bool
	rebooting bool          // the kind expects it
	stopping  chan struct{} // closed when it comes
}

func (d *device) undoable() bool {
	_, ok := d.kind.(executor.Undoer)
	return ok
}

// run runs the kind once, and lets it make its change final.
func (d *device) run(p plan) error {
	err := d.through(p, d.kind.Run)
	if k, ok := d.kind.(executor.Confirmer); ok && err == nil {
		err = d.try(p, k.Confirm)
	}
	return err
}

func (d *device) undo(p plan) error { return d.through(p, d.kind.(executor.Undoer).Undo) }

// through tries once; a reboot that the kind asks for is done.
func (d *device) through(p plan, act func(context.Context, *executor.Task) error) error {
	d.points = nil
	for range 3 {
		d.attempt++
		err := d.try(p, act)
		d.begun = d.bootID()
		if !d.rebooting || d.isDead {
			return err
		}
		if err := d.cut(powerKeepsNames); err != nil {
			return err
		}
	}
	return errors.New("it rebooted three times")
}

func (d *device) bootID() string { return fmt.Sprint("boot-", d.boot) }

func (d *device) try(p plan, act func(context.Context, *executor.Task) error) (err error) {
	d.plan, d.isDead, d.rebooting, d.stopping = p, false, false, make(chan struct{})
	defer func() {
		if r := recover(); r != nil {
			if _, ok := r.(dead); !ok {
				panic(r)
			}
			err = errors.Join(errDead, d.cut(p.how))
		}
	}()
	return act(context.Background(), d.task())
}

func (d *device) task() *executor.Task {
	return executor.NewTask(executor.Task{
		Job: "job", Step: "step", With: json.RawMessage(d.with), Attempt: d.attempt, Boot: d.bootID(), Begun: d.begun,
		Dir: d.state, Output: io.Discard, Err: io.Discard, Log: slog.New(slog.DiscardHandler), Stopping: d.stopping,
	}, d.saved, d.save, func(float64) {})
}

func (d *device) save(state json.RawMessage, cutExpected bool) error {
	if err := d.point("save"); err != nil {
		return err
	}
	d.saved = state
	if err := d.point("saved"); errors.Is(err, errDead) {
		return err // any other fault comes too late: it is saved
	}
	if cutExpected {
		d.rebooting = true
		stopping := d.stopping
		time.AfterFunc(5*time.Millisecond, func() { close(stopping) })
	}
	return nil
}

// before is the hook of step.Files.
func (d *device) before(op string, paths ...string) error {
	name := op
	for _, p := range paths {
		rel, _ := filepath.Rel(filepath.Dir(d.dir), p)
		name += " " + rel
	}
	if err := d.point(name); err != nil {
		return err
	}
	d.disk.before(op, paths)
	return nil
}

// point is where a kind can be cut. A dead agent does nothing any more, also
// when the kind cleans up behind it.
func (d *device) point(name string) error {
	if d.isDead {
		return errDead
	}
	d.disk.applied()
	d.points = append(d.points, name)
	if len(d.points) != d.plan.at {
		return nil
	}
	if d.plan.fault != nil {
		return d.plan.fault
	}
	d.isDead = true
	panic(dead{})
}

func (d *device) cut(how way) error {
	d.disk.applied()
	if how == kill {
		return nil
	}
	d.boot++
	err := d.disk.lose(how == powerLosesNames)
	if d.boots != nil {
		err = errors.Join(err, d.boots(d.dir))
	}
	return err
}

func (d *device) dirEquals(want tree) error {
	got, err := look(d.dir)
	if err != nil {
		return err
	}
	return got.diff(want)
}
