package main

import (
	"context"
	_ "embed"
	"errors"
	"fmt"
	"io"
	"maps"
	"math/rand/v2"
	"net"
	"os"
	"os/exec"
	"path/filepath"
	"slices"
	"strings"
	"sync"
	"sync/atomic"
	"time"

	"github.com/ratchetd/ratchet/scripts/vm/machine"
)

//go:embed guest/life.sh
var lifeScript string

// An op is what the disk was told, and how many events had been seen before it.
type op struct {
	write
	flush bool
	seen  int
}

// A state is what the disk would have been, had the power failed before that op.
type state struct {
	n      int // which one, for the name of its folder
	at     int
	policy policy
}

func (s state) String() string { return fmt.Sprintf("state %d: op %d, %s", s.n, s.at, s.policy) }

// recorded is how many jobs are recorded for the states.
const recorded = 25

// capture has the machine do some jobs without a cut, and keeps all that its disk
// was told.
func (r *rig) capture(ctx context.Context) error {
	for range recorded {
		j := r.build.next()
		for strings.HasPrefix(j.id, "reboot") || strings.HasPrefix(j.id, "update") || strings.HasPrefix(j.id, "firmware") { // they end the recording
			j = r.build.next()
		}
		r.jobs = append(r.jobs, j)
		if err := r.offer(j.id, j.text()); err != nil {
			return err
		}
	}
	r.disk.keep(r.record.count)
	return r.drain(ctx)
}

// states has the agent go on from n states of the disk at random, in folders of
// this machine: its own kernel has no part in what is tried. It runs as root in a
// network of its own, in which it has the host's address that the guest knew.
func (r *rig) states(ctx context.Context, n int) error {
	if err := r.capture(ctx); err != nil {
		return err
	}
	ops := r.disk.recorded()
	list := make([]state, n)
	for i := range list {
		list[i] = state{at: 1 + r.random.IntN(len(ops)), policy: policies[r.random.IntN(len(policies))]}
	}
	slices.SortFunc(list, func(a, b state) int { return a.at - b.at })
	var (
		work  sync.WaitGroup
		found = make(chan string, n)
		done  atomic.Int64
		room  = make(chan struct{}, lives)
		told  = map[policy]int{}
	)
	began, d, upTo := time.Now(), newDisk(r.disk.base), 0
	for i, s := range list {
		for ; upTo < s.at; upTo++ {
			d.replay(ops[upTo])
		}
		s.n = i
		told[s.policy]++
		image := d.after(s.policy, rand.New(rand.NewPCG(r.seed, uint64(i))))
		select {
		case room <- struct{}{}:
		case <-ctx.Done():
			return context.Cause(ctx)
		}
		work.Go(func() {
			defer func() { <-room }()
			for _, v := range r.resume(ctx, s, image, r.seen()[:ops[s.at-1].seen]) {
				found <- fmt.Sprint(s, ": ", v)
			}
			if n := done.Add(1); !r.quiet && n%50 == 0 {
				fmt.Fprintf(r.out, "%d of %d states\n", n, len(list))
			}
		})
	}
	work.Wait()
	close(found)
	for v := range found {
		fmt.Fprintln(r.out, "violation:", v)
		r.broken++
	}
	fmt.Fprintf(r.out, "states: %d %v, of %d ops in a recording of %d jobs; %.0f a minute\n", n, told, len(ops), len(r.jobs), float64(n)/time.Since(began).Minutes())
	return nil
}

// lives is how many agents go on at once: they mostly wait.
const lives = 12

// resume has an agent go on from the image, and judges it.
func (r *rig) resume(ctx context.Context, s state, image []byte, before []event) []string {
	l, err := r.newLife(s, image, before)
	if err == nil {
		defer l.end()
		err = l.play(ctx)
	}
	if l == nil {
		return []string{err.Error()}
	}
	j := &judge{jobs: l.jobs, events: l.outside.seen(), files: l.files(), uploaded: r.arrived}
	found := j.judge(err == nil)
	if err != nil {
		found = append(found, err.Error())
	}
	if len(found) > 0 {
		keep(l.dir+".events", j.events)
	}
	return found
}

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
	if l.outside, err = newOutside(rec, r.address); err != nil {
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
