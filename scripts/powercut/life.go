package main

import (
	"context"
	_ "embed"
	"errors"
	"fmt"
	"io"
	"maps"
	"net"
	"os"
	"os/exec"
	"path/filepath"
	"slices"
	"strings"
	"time"

	"github.com/ratchetd/ratchet/scripts/vm/machine"
)

//go:embed guest/life.sh
var lifeScript string

// A life is an agent that goes on from a state of the disk.
type life struct {
	*outside
	dir  string
	jobs map[string]*job // those that had been offered
}

// newLife lays the state out in a folder, and makes a broker that holds what the
// recording's held at that moment.
func (r *rig) newLife(s state, image []byte, before []event) (*life, error) {
	l := &life{dir: r.path(fmt.Sprint("state-", s.n)), jobs: map[string]*job{}}
	if err := os.RemoveAll(l.dir); err != nil {
		return nil, err
	}
	if err := r.root.Write(l.dir); err != nil {
		return nil, err
	}
	if err := unpack(image, l.dir+".image", filepath.Join(l.dir, "data")); err != nil {
		return nil, fmt.Errorf("the file system: %w", err)
	}
	rec := newRecord()
	rec.events = slices.Clone(before)
	for _, e := range before {
		if e.What == told {
			rec.last[e.Job] = *e.Status
		}
	}
	var err error
	if l.outside, err = newOutside(rec, "0.0.0.0:0", "0.0.0.0:0"); err != nil {
		return nil, err
	}
	config := filepath.Join(l.dir, "data/etc/ratchet.toml")
	if err := os.WriteFile(config, fmt.Appendf(nil, configText, device, host, l.brokerPort), 0o600); err != nil {
		return nil, err
	}
	return l, l.restore(r, before)
}

// restore publishes what was retained.
func (l *life) restore(r *rig, before []event) error {
	retained := map[string][]byte{}
	for _, e := range before {
		if e.Topic != "" {
			retained[e.Topic] = e.Payload
		}
		if e.What != offered {
			continue
		}
		for _, j := range r.jobs {
			if j.id == e.Job {
				l.jobs[j.id] = j
			}
		}
	}
	for _, topic := range slices.Sorted(maps.Keys(retained)) {
		if err := l.broker.Publish(topic, retained[topic], true, 1); err != nil {
			return err
		}
	}
	return nil
}

// play runs the agent until all jobs are final. It is started again after a reboot.
func (l *life) play(ctx context.Context) error {
	ctx, cancel := context.WithTimeoutCause(ctx, 5*time.Minute, errors.New("jobs do not end in five minutes"))
	defer cancel()
	marks, err := l.marks()
	if err != nil {
		return err
	}
	defer marks.Close()
	for {
		cmd := exec.CommandContext(ctx, "unshare", "-m", "-p", "-f", "--kill-child", "sh", "-ec", lifeScript, "sh", l.dir)
		log, err := os.OpenFile(l.dir+".log", os.O_APPEND|os.O_CREATE|os.O_WRONLY, 0o644)
		if err != nil {
			return err
		}
		cmd.Stdout, cmd.Stderr = log, log
		err = cmd.Start()
		_ = log.Close() // the child has it
		if err != nil {
			return err
		}
		exited := make(chan error, 1)
		go func() { exited <- cmd.Wait() }()
		for again := false; !again; {
			moved := l.wait()
			if l.quiet() {
				_ = cmd.Process.Kill()
				<-exited
				return nil
			}
			select {
			case <-moved:
			case <-exited:
				if ctx.Err() != nil {
					return context.Cause(ctx)
				}
				again = true
			}
		}
	}
}

// quiet reports whether all jobs are final.
func (l *life) quiet() bool {
	for id := range l.jobs {
		if !l.status(id).final() {
			return false
		}
	}
	return true
}

// marks hears what programs say, at a socket in the place of the disk of marks.
func (l *life) marks() (io.Closer, error) {
	socket, err := net.Listen("unix", filepath.Join(l.dir, "marks"))
	if err != nil {
		return nil, err
	}
	go func() {
		for {
			c, err := socket.Accept()
			if err != nil {
				return
			}
			b := make([]byte, 512)
			if _, err := io.ReadFull(c, b); err == nil {
				_ = slate{l.record}.write(0, b, false) // it takes all
				_, _ = c.Write([]byte{1})              // who waits for it may be dead
			}
			_ = c.Close()
		}
	}()
	return socket, nil
}

func (l *life) files() map[string]string {
	out, err := machine.Output(exec.Command("sh", "-c", `cd "$1" && find data -type f -exec sha256sum {} +`, "sh", l.dir))
	if err != nil {
		return nil
	}
	return listed(strings.ReplaceAll(out, "  data/", "  /data/"))
}

func (l *life) end() {
	l.close()
	_ = os.RemoveAll(l.dir) // the next run makes it again
}

// unpack replays the file system's own journal and takes out what it holds.
func unpack(image []byte, path, to string) error {
	defer os.Remove(path)
	if err := os.WriteFile(path, image, 0o600); err != nil {
		return err
	}
	out, err := exec.Command("e2fsck", "-fy", path).CombinedOutput()
	var exit *exec.ExitError
	if errors.As(err, &exit) && exit.ExitCode() < 4 { // mended
		err = nil
	}
	if err != nil {
		return fmt.Errorf("e2fsck: %w: %s", err, out)
	}
	_, err = machine.Output(exec.Command("debugfs", "-R", "rdump / "+to, path))
	return err
}
