package agent

import (
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"log/slog"
	"net"
	"os"
	"path/filepath"
	"strings"
	"sync"
	"sync/atomic"
	"testing"

	"github.com/ratchetd/ratchet/agent/config"
	"github.com/ratchetd/ratchet/agent/local"
)

// What gw-1 says, it says below these topics.
const (
	stateTopic  = "ratchet/v1/device/gw-1/state"
	jobsTopic   = "ratchet/v1/device/gw-1/jobs/"
	alertsTopic = "ratchet/v1/device/gw-1/alerts/"
)

// A device is an agent that runs in this process.
type device struct {
	*Agent
	t    *testing.T
	dir  string
	log  io.Writer // nil is the test's
	stop func()

	looked *Agent // whose journal was looked at

	synchronised func() bool           // the clock; nil: as the kernel says
	wrap         func(Journal) Journal // what stands between it and its journal; nil: nothing

	signals chan os.Signal // what it is asked

	restarts bool        // it may end because it is to be started again
	again    atomic.Bool // it has
}

// newDevice makes gw-1 with extra configuration; it does not run yet.
func newDevice(t *testing.T, b *broker, extra string) *device {
	dir := t.TempDir()
	d := &device{t: t, dir: dir, signals: make(chan os.Signal)}
	t.Cleanup(func() { os.RemoveAll(config.RuntimeDir(filepath.Join(dir, "state"))) })
	d.write("ratchet.toml", fmt.Sprintf(`device = "gw-1"
groups = ["routers"]
state = %q
tags = {site = "berlin"}
%s
[link]
broker = "tcp://%s"
spread = "0s"
`, filepath.Join(dir, "state"), extra, b.addr))
	return d
}

// configured is the configuration as it lies there now.
func (d *device) configured() *config.Config {
	d.t.Helper()
	c, err := config.Load(filepath.Join(d.dir, "ratchet.toml"))
	if err != nil {
		d.t.Fatal(err)
	}
	return c
}

// write writes a file below the configuration's folder, and the folders above it.
func (d *device) write(name, text string) {
	d.t.Helper()
	path := filepath.Join(d.dir, name)
	if err := os.MkdirAll(filepath.Dir(path), 0o700); err != nil {
		d.t.Fatal(err)
	}
	if err := os.WriteFile(path, []byte(text), 0o600); err != nil {
		d.t.Fatal(err)
	}
}

// remove removes a file below the configuration's folder.
func (d *device) remove(name string) {
	d.t.Helper()
	if err := os.Remove(filepath.Join(d.dir, name)); err != nil {
		d.t.Fatal(err)
	}
}

// inhibit has an application say that no job may run now.
func (d *device) inhibit() { d.write("state/inhibit/app", "busy") }

// start runs the agent until the test, or stop, ends it.
func (d *device) start() *device {
	d.t.Helper()
	return d.startWith(d.configured())
}

// startWith is start, with that configuration.
func (d *device) startWith(c *config.Config) *device {
	d.t.Helper()
	var log io.Writer = &logs{d.t}
	if d.log != nil {
		log = d.log
	}
	a, err := New(c, slog.New(slog.NewTextHandler(log, &slog.HandlerOptions{Level: slog.LevelDebug})))
	if err != nil {
		d.t.Fatal(err)
	}
	if d.wrap != nil {
		a.Wrap(d.wrap)
	}
	d.Agent, a.clock.Synchronised = a, d.synchronised
	ctx, cancel := context.WithCancel(context.Background())
	done := make(chan error, 1)
	go func() {
		err := a.Run(ctx, d.signals)
		if d.restarts && errors.Is(err, ErrRestart) {
			d.again.Store(true)
			err = nil
		}
		done <- err
	}()
	d.stop = sync.OnceFunc(func() {
		cancel()
		if err := <-done; err != nil {
			d.t.Errorf("Run: %v", err)
		}
	})
	d.t.Cleanup(d.stop)
	return d
}

// restarted reports whether it has ended to be started again.
func (d *device) restarted() bool { return d.again.Load() }

// online waits until the device has said so and its topics are quiet.
func (d *device) online(b *broker) *device {
	d.t.Helper()
	b.await(stateTopic, func(p string) bool { return strings.Contains(p, `"online":true`) })
	await(d.t, "quiet on the job topics", d.link.Settled)
	return d
}

// connected reports whether the device can be reached.
func (d *device) connected() bool { return d.link.Session() != nil }

// onTrial reports whether the change of a job's first step is.
func (d *device) onTrial(id string) bool {
	d.t.Helper()
	r, known, err := d.db.Record(id)
	if err != nil {
		d.t.Fatal(err)
	}
	return known && r.Steps[0].Trial
}

// alerted reports whether an alert is raised.
func (d *device) alerted(name string) bool {
	for _, a := range d.alerts.List() {
		if a.Name == name {
			return true
		}
	}
	return false
}

type logs struct{ t *testing.T }

func (l *logs) Write(p []byte) (int, error) { l.t.Logf("%s", p); return len(p), nil }

// submit gives the device a job as a program on it does.
func (d *device) submit(job any) {
	d.t.Helper()
	socket := local.Path(d.config.Load().State)
	await(d.t, "the local socket", func() bool {
		c, err := net.Dial("unix", socket)
		return err == nil && c.Close() == nil
	})
	ask := local.Request{Do: "submit", Text: string(text(d.t, job))}
	if err := local.Call(patient(d.t), socket, ask, func(json.RawMessage) error { return nil }); err != nil {
		d.t.Fatal(err)
	}
}
