package main

import (
	"bytes"
	"compress/gzip"
	"context"
	_ "embed"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"math/rand/v2"
	"os"
	"path/filepath"
	"slices"
	"sync"
	"time"
)

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

// plan makes the jobs that are recorded, the same ones for a seed. What makes the
// machine boot would end the recording.
func (r *rig) plan() {
	for len(r.jobs) < recorded {
		switch j := r.build.next(); j.shape {
		case "reboot", "update", "firmware":
		default:
			r.jobs = append(r.jobs, j)
		}
	}
}

// capture has the machine do the jobs without a cut, and keeps all that its disk
// was told.
func (r *rig) capture(ctx context.Context) error {
	r.plan()
	for _, j := range r.jobs {
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
	old, _ := filepath.Glob(r.path("state-*"))
	for _, path := range old {
		_ = os.RemoveAll(path) // of another run
	}
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
		lock  sync.Mutex
		found []string
		done  int
		room  = make(chan struct{}, lives)
		by    = map[policy]int{}
	)
	began, d, upTo := time.Now(), newDisk(r.disk.base), 0
	for i, s := range list {
		for ; upTo < s.at; upTo++ {
			d.replay(ops[upTo])
		}
		s.n = i
		by[s.policy]++
		image := d.after(s.policy, rand.New(rand.NewPCG(r.seed, uint64(i))))
		select {
		case room <- struct{}{}:
		case <-ctx.Done():
			return context.Cause(ctx)
		}
		work.Go(func() {
			defer func() { <-room }()
			violations := r.resume(ctx, s, image, r.seen()[:ops[s.at-1].seen])
			lock.Lock()
			defer lock.Unlock()
			for _, v := range violations {
				found = append(found, fmt.Sprint(s, ": ", v))
			}
			if done++; !r.quiet && done%50 == 0 {
				fmt.Fprintf(r.out, "%d of %d states\n", done, len(list))
			}
		})
	}
	work.Wait()
	for _, v := range found {
		fmt.Fprintln(r.out, "violation:", v)
	}
	r.broken = len(found)
	if r.broken > 0 {
		fmt.Fprintf(r.out, "again: powercut -states 1 -seed %d -replay STATE\n", r.seed)
	}
	fmt.Fprintf(r.out, "states: %d %v, of %d ops in a recording of %d jobs; %.0f a minute\n", n, by, len(ops), len(r.jobs), float64(n)/time.Since(began).Minutes())
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
		s.keep(l.dir, image, before)
	}
	return found
}

// keep keeps what a state is resumed from.
func (s state) keep(path string, image []byte, before []event) {
	var packed bytes.Buffer
	w := gzip.NewWriter(&packed)
	_, err := w.Write(image)
	text, err2 := json.Marshal(before)
	err = errors.Join(err, err2, w.Close(), os.WriteFile(path+".image.gz", packed.Bytes(), 0o644), os.WriteFile(path+".before.json", text, 0o644))
	if err != nil {
		fmt.Fprintln(os.Stderr, "powercut:", err) // it was found all the same
	}
}

// again resumes a state that was kept. The seed must be that of the run.
func (r *rig) again(ctx context.Context, n int) error {
	r.plan()
	s := state{n: n}
	path := r.path(fmt.Sprint("state-", n))
	packed, err := os.Open(filepath.Clean(path + ".image.gz"))
	if err != nil {
		return err
	}
	defer packed.Close()
	z, err := gzip.NewReader(packed)
	if err != nil {
		return err
	}
	image, err := io.ReadAll(z)
	if err != nil {
		return err
	}
	text, err := os.ReadFile(path + ".before.json")
	if err != nil {
		return err
	}
	var before []event
	if err := json.Unmarshal(text, &before); err != nil {
		return err
	}
	for _, v := range r.resume(ctx, s, image, before) {
		fmt.Fprintln(r.out, "violation:", v)
		r.broken++
	}
	return nil
}
