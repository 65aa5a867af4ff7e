package main

import (
	"context"
	"errors"
	"fmt"
	"io"
	"math/rand/v2"
	"strings"
	"text/tabwriter"
	"time"

	"github.com/ratchetd/ratchet/scripts/vm/machine"
)

// playFlash has a router do a job on a file system of flash, kills the machine
// in a step and at random moments, and looks at the memory.
func playFlash(flash string) func(context.Context, *place, io.Writer) error {
	return func(ctx context.Context, p *place, out io.Writer) error {
		r, err := newRouter(p, flash)
		if err != nil {
			return err
		}
		seen, err := r.play(ctx)
		table := tabwriter.NewWriter(out, 0, 0, 2, ' ', 0)
		for _, row := range seen {
			fmt.Fprintf(table, "%s\t%s\t\n", row[0], row[1])
		}
		return errors.Join(err, table.Flush())
	}
}

// A row of the table: what, and what was seen.
type row [2]string

func (r *router) play(ctx context.Context) (seen []row, err error) {
	ctx, cancel := context.WithTimeoutCause(ctx, 15*time.Minute, errors.New("no end in fifteen minutes"))
	defer cancel()
	began := time.Now()
	system, err := r.run(ctx, r.machine, "system", shell("system", "uname -srm; cat /flash"))
	if err != nil {
		return seen, err
	}
	seen = append(seen, row{"first boot and a job", fmt.Sprintf("%s, %.0f s, says %s", system.State, time.Since(began).Seconds(), flat(system.output("system")))})
	cut, err := r.cutInStep(ctx)
	if err != nil {
		return seen, err
	}
	seen = append(seen, cut)
	memory, err := r.run(ctx, r.machine, "memory", shell("memory", `sleep 20; grep -hE 'VmHWM|VmRSS|RssAnon' /proc/$(pidof ratchetd)/status; grep -hE 'MemTotal|MemFree|MemAvailable' /proc/meminfo`),
		shell("flash", "du -sk /etc/ratchet/state | cut -f1"))
	if err != nil {
		return seen, err
	}
	seen = append(seen, row{"memory (kB)", flat(memory.output("memory"))}, row{"state on flash (kB)", flat(memory.output("flash"))})
	random, err := r.cutAtRandom(ctx)
	if err != nil {
		return seen, err
	}
	return append(seen, random), nil
}

func flat(text string) string { return strings.Join(strings.Fields(text), " ") }

func shell(name, script string) any { return step(name, "command", map[string]any{"shell": script}) }

// ran is a job of three steps that note each run of theirs on the flash.
func ran(job, pause string) []any {
	note := func(name string) string { return "echo " + name + " >> /etc/" + job + "; sync; " }
	return []any{shell("one", note("one")+"true"), shell("two", note("two")+pause), shell("three", note("three")+"cat /etc/"+job)}
}

// cutInStep kills the machine while the second step of three runs.
func (r wired) cutInStep(ctx context.Context) (row, error) {
	ended, err := r.offer("cut", ran("cut", "sleep 8"))
	if err != nil {
		return row{}, err
	}
	on, err := r.machine.On()
	if err != nil {
		return row{}, err
	}
	for r.report("cut").Step == nil || r.report("cut").Step.Name != "two" {
		select {
		case <-ctx.Done():
			on.Off()
			return row{}, context.Cause(ctx)
		case <-on.Done:
			return row{}, fmt.Errorf("the machine went off by itself: %s", on.Said.String())
		case <-time.After(100 * time.Millisecond):
		}
	}
	time.Sleep(4 * time.Second)
	r.machine.Mark("killed in step two")
	on.Off()
	killed := time.Now()
	if _, err := r.machine.Until(ctx, ended, machine.Never); err != nil {
		return row{}, err
	}
	s := r.report("cut")
	said := flat(s.output("three"))
	text := fmt.Sprintf("%s %.0f s later; ran: %s; %s", s.State, time.Since(killed).Seconds(), said, attempts(s))
	if s.State != "succeeded" || said != "one two two three" || len(r.changed) > 0 {
		err = fmt.Errorf("killed in a step: %s, want each step once and the one that was cut twice; %v", text, r.changed)
	}
	return row{"killed in step two of three, booted", text}, err
}

func attempts(s status) string {
	var list []string
	for _, each := range s.Steps {
		list = append(list, fmt.Sprintf("%s %d/%d", each.Name, each.Attempts, each.Interrupted))
	}
	return "starts/interrupted: " + strings.Join(list, ", ")
}

// cutAtRandom kills the machine at random moments of jobs, and holds what ran
// against what was reported.
func (r *router) cutAtRandom(ctx context.Context) (row, error) {
	const jobs = 3
	random := rand.New(rand.NewPCG(r.seed, 0))
	cuts := 0
	for n := range jobs {
		job := fmt.Sprintf("random-%d", n)
		ended, err := r.offer(job, ran(job, "sleep 3"))
		if err != nil {
			return row{}, err
		}
		left := 2
		made, err := r.machine.Until(ctx, ended, func() time.Duration {
			if left--; left < 0 {
				return 0
			}
			return time.Duration(6000+random.IntN(14000)) * time.Millisecond
		})
		if err != nil {
			return row{}, err
		}
		cuts += made
		if err := r.judge(job); err != nil {
			return row{}, err
		}
	}
	return row{fmt.Sprintf("killed at %d random moments", cuts), fmt.Sprintf("%d jobs of three steps succeeded, no step that was done ran again", jobs)}, nil
}

// judge: each step ran as often as the report says that it was begun, or less
// where the cut came before its first words; and never after it was done.
func (r *router) judge(job string) error {
	s := r.report(job)
	said := strings.Fields(s.output("three"))
	last := 0
	order := map[string]int{"one": 1, "two": 2, "three": 3}
	counted := map[string]int{}
	for _, name := range said {
		if order[name] < last {
			return fmt.Errorf("%s: a step ran again after it was done: %v", job, said)
		}
		last = order[name]
		counted[name]++
	}
	for _, each := range s.Steps {
		if n := counted[each.Name]; n == 0 || n > each.Attempts {
			return fmt.Errorf("%s: step %s ran %d times, and was begun %d times", job, each.Name, n, each.Attempts)
		}
	}
	if s.State != "succeeded" || len(r.changed) > 0 {
		return fmt.Errorf("%s is %s (%s); %v", job, s.State, s.Reason, r.changed)
	}
	return nil
}
