package main

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
	"github.com/ratchetd/ratchet/cmd/ratchet/internal/jobfile"
	"github.com/ratchetd/ratchet/cmd/ratchet/internal/link"
	"github.com/spf13/cobra"
	"golang.org/x/sync/errgroup"
)

//go:embed demo.yaml
var demoJob string

const (
	demoLimit  = 55 * time.Second
	demoStart  = 15 * time.Second // for all devices to come online
	demoFile   = 256 << 10        // bytes that step 2 fetches
	powerIsOff = 1500 * time.Millisecond
	cutDevice  = 1 // gw-2
	cutStep    = "install"
	quietStep  = "settings" // writes a file and leaves no other mark
)

func (s *session) demoCommand() *cobra.Command {
	var binary string
	cmd := &cobra.Command{
		Use:   "demo",
		Short: "See a job survive a power cut, on this machine",
		Long: `Demo starts a broker, a file server and three devices (ratchetd processes) on
this machine, sends them a job of six steps, kills one device inside step 3 as a
power cut would, and starts it again. A table shows how often each step really
ran. It needs no root and no network, ends within a minute and leaves nothing
behind. The exit code is 1 when a promise was not kept.`,
		Args: cobra.NoArgs,
		RunE: func(cmd *cobra.Command, _ []string) error {
			path, err := findDaemon(binary)
			if err != nil {
				return err
			}
			ctx, cancel := context.WithTimeoutCause(cmd.Context(), demoLimit, fmt.Errorf("the demo is not done after %v", demoLimit))
			defer cancel()
			return s.demo(ctx, path)
		},
	}
	cmd.Flags().StringVar(&binary, "ratchetd", "", "`path` of ratchetd, if it does not lie beside ratchet")
	return cmd
}

func findDaemon(named string) (string, error) {
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

// A stage is all that the demo sets up, and takes down again.
type stage struct {
	dir     string
	broker  string
	depot   *depot
	daemons []*daemon
	client  *link.Client
	undo    []func()
}

func (s *session) demo(ctx context.Context, binary string) error {
	st := &stage{}
	defer st.clear()
	fmt.Fprintln(s.out, "Starting a broker, a file server and three devices ...")
	if err := st.set(ctx, binary); err != nil {
		return err
	}
	v := newView("demo", true)
	v.notes = make(chan string, 2)
	if err := st.online(ctx, v); err != nil {
		return err
	}
	fmt.Fprint(s.out, "A job of six steps goes to each. In step 3 the power of gw-2 goes.\n\n")
	if err := st.offer(ctx, v); err != nil {
		return err
	}
	g, ctx := errgroup.WithContext(ctx)
	g.Go(func() error { return st.cutAndReturn(ctx, v.notes) })
	g.Go(func() error { return v.follow(ctx, st.client, s.display(false, s.out)) })
	if err := g.Wait(); err != nil {
		return err
	}
	return s.verdict(st.account(v))
}

func (st *stage) later(f func()) { st.undo = append(st.undo, f) }

func (st *stage) clear() {
	for i := len(st.undo) - 1; i >= 0; i-- {
		st.undo[i]()
	}
}

func (st *stage) set(ctx context.Context, binary string) error {
	var err error
	if st.dir, err = os.MkdirTemp("", "ratchet-demo-"); err != nil {
		return fmt.Errorf("making a folder: %w", err)
	}
	st.later(func() { _ = os.RemoveAll(st.dir) })
	var stop func()
	if st.broker, stop, err = startBroker(); err != nil {
		return err
	}
	st.later(stop)
	if st.depot, err = startDepot(demoFile); err != nil {
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
	if st.client, err = link.Connect(ctx, link.Options{Broker: st.broker, Root: "ratchet/v1"}); err != nil {
		return err
	}
	st.later(st.client.Close)
	return nil
}

// online waits until every device has said that it is there.
func (st *stage) online(ctx context.Context, v *view) error {
	ctx, cancel := context.WithTimeoutCause(ctx, demoStart, fmt.Errorf("not all devices are online after %v", demoStart))
	defer cancel()
	if err := st.client.Subscribe(ctx, v.filters(st.client.Root())...); err != nil {
		return err
	}
	beat := time.NewTicker(tick)
	defer beat.Stop()
	for there := 0; there < len(st.daemons); {
		select {
		case m := <-st.client.Feed():
			v.take(m)
		case <-beat.C:
		case <-ctx.Done():
			return context.Cause(ctx)
		}
		there = 0
		for _, d := range st.daemons {
			if err := d.gone(); err != nil {
				return err
			}
			if v.device(d.device).presence.Online {
				there++
			}
		}
	}
	return nil
}

// offer sends each device the job, with its own folder in it.
func (st *stage) offer(ctx context.Context, v *view) error {
	for _, d := range st.daemons {
		filled := strings.NewReplacer("DIR", d.work(), "URL", st.depot.url+"/"+d.device, "SHA256", st.depot.sha256).Replace(demoJob)
		text, _, err := jobfile.FromYAML([]byte(filled))
		if err != nil {
			return err
		}
		m := link.Message{Topic: dialect.Topic{To: "device/" + d.device, Name: v.job}, Payload: text}
		if err := st.client.Publish(ctx, m.Topic, m.Payload); err != nil {
			return err
		}
		v.take(m)
	}
	return nil
}

// cutAndReturn cuts the power of one device when its step has really begun, and
// gives it back.
func (st *stage) cutAndReturn(ctx context.Context, notes chan<- string) error {
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
