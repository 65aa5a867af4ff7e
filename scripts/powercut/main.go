// Command powercut cuts the power of a machine whose disk forgets what was not
// flushed, while ratchetd does jobs in it, and judges from outside what it told
// and what it left. Debian's kernel and a processor that qemu emulates; it needs
// no rights, and changes nothing outside of its folder.
package main

import (
	"cmp"
	"context"
	"encoding/json"
	"errors"
	"flag"
	"fmt"
	"io"
	"maps"
	"math/rand/v2"
	"os"
	"os/exec"
	"os/signal"
	"slices"
	"strings"
	"syscall"
	"text/tabwriter"
)

func main() {
	ctx, stop := signal.NotifyContext(context.Background(), os.Interrupt, syscall.SIGTERM)
	defer stop()
	if err := run(ctx, os.Args[1:], os.Stdout); err != nil {
		fmt.Fprintln(os.Stderr, "powercut:", err)
		os.Exit(1)
	}
}

// tools are what it needs, and Debian's packages that have them.
var tools = map[string]string{"qemu-system-x86_64": "qemu-system-x86", "mke2fs": "e2fsprogs", "modprobe": "kmod", "depmod": "kmod", "apt-get": "apt", "dpkg": "dpkg"}

func missing() (names []string) {
	for tool, pkg := range tools {
		if _, err := exec.LookPath(tool); err != nil {
			names = append(names, tool+" ("+pkg+")")
		}
	}
	return names
}

func run(ctx context.Context, args []string, out io.Writer) error {
	flags := flag.NewFlagSet("powercut", flag.ContinueOnError)
	w := setup{out: out, brokerAt: "127.0.0.1:0", filesAt: "127.0.0.1:0"}
	flags.StringVar(&w.dir, "dir", "build/powercut", "where disks and logs go")
	flags.StringVar(&w.cache, "cache", "build/vm", "where packages go")
	flags.IntVar(&w.cuts, "cuts", 30, "how often the power fails")
	flags.IntVar(&w.states, "states", 0, "go on from that many states of one recording instead; needs root")
	flags.IntVar(&w.replay, "replay", -1, "go on once more from that one of the states, which was kept because something was found in it")
	flags.Uint64Var(&w.seed, "seed", 1, "of everything that is random")
	flags.StringVar(&w.fs, "fs", "ext4", "the file system")
	flags.StringVar(&w.options, "options", "noatime", "by which it is mounted")
	flags.BoolVar(&w.quiet, "quiet", false, "no line for each cut")
	controls := flags.Bool("controls", false, "break the promises on purpose: each way must be found")
	if err := flags.Parse(args); err != nil {
		return err
	}
	if names := missing(); len(names) > 0 {
		fmt.Fprintf(out, "skipped: this needs %s\n", strings.Join(names, ", "))
		return nil
	}
	if w.states > 0 && !alone() {
		return w.isolate(ctx, args)
	}
	if w.states > 0 { // a network of its own has the same ports each time
		w.brokerAt, w.filesAt = "0.0.0.0:1883", "0.0.0.0:8080"
	}
	if !*controls {
		return w.run(ctx)
	}
	return play(ctx, out, w.dir, func(ctx context.Context, c control, dir string) (err error) {
		w := w
		w.dir, w.cuts, w.lies, w.quiet, w.out = dir, c.cuts, c.lies, true, io.Discard
		w.options = cmp.Or(c.options, w.options)
		if err := os.MkdirAll(dir, 0o755); err != nil {
			return err
		}
		if w.overlay, err = c.overlay(dir); err != nil {
			return err
		}
		return w.run(ctx)
	})
}

// A setup is what one run is to be.
type setup struct {
	dir, cache, fs, options string
	overlay                 []string // by which the agent is built with a fault
	brokerAt, filesAt       string   // where the outside listens
	cuts, states, replay    int
	seed                    uint64
	lies                    bool // the disk says that it flushed, and did not
	quiet                   bool
	out                     io.Writer
}

func (w setup) run(ctx context.Context) error {
	if err := os.MkdirAll(w.dir, 0o755); err != nil {
		return err
	}
	r := &rig{setup: w, random: rand.New(rand.NewPCG(w.seed, 0))}
	if err := r.start(); err != nil {
		return err
	}
	defer r.close()
	switch {
	case w.states > 0 && w.replay >= 0:
		return errors.Join(r.again(ctx, w.replay), r.verdict())
	case w.states > 0:
		return errors.Join(r.states(ctx, w.states), r.verdict())
	}
	err := r.play(ctx)
	return errors.Join(err, r.verdict())
}

var errViolated = errors.New("promises were broken")

// verdict judges, prints the tables and keeps what it judged by.
func (r *rig) verdict() error {
	j, out := r.judge(), r.out
	found := j.judge(r.drained)
	r.tables(out)
	keep(r.path("events"), j.events)
	for _, v := range found {
		fmt.Fprintln(out, "violation:", v)
	}
	n := len(found) + r.broken
	fmt.Fprintln(out, "violations:", n)
	if n > 0 {
		return fmt.Errorf("%d %w: what was seen is in %s", n, errViolated, r.path("events.json"))
	}
	return nil
}

// judge is one who knows all that was seen.
func (r *rig) judge() *judge {
	j := &judge{jobs: map[string]*job{}, events: r.seen(), files: r.listing(), uploaded: r.arrived}
	for _, each := range r.jobs {
		j.jobs[each.id] = each
	}
	return j
}

// listing is what lay in the machine at the end.
func (r *rig) listing() map[string]string {
	text, _ := r.upload("/" + r.looked)
	return listed(string(text))
}

// listed are the files of a list of sha256sum's, by path.
func listed(text string) map[string]string {
	files := map[string]string{}
	for line := range strings.Lines(text) {
		if f := strings.Fields(line); len(f) == 2 {
			files[f[1]] = f[0]
		}
	}
	return files
}

// keep writes down what was seen, for a program and for a reader.
func keep(path string, events []event) {
	text, err := json.MarshalIndent(events, "", " ")
	var lines strings.Builder
	for _, e := range events {
		fmt.Fprintln(&lines, e.At.Format("15:04:05.000"), e)
	}
	if err := errors.Join(err, os.WriteFile(path+".json", text, 0o644), os.WriteFile(path+".log", []byte(lines.String()), 0o644)); err != nil {
		fmt.Fprintln(os.Stderr, "powercut:", err) // the verdict counts all the same
	}
}

// tables are the steps by kind and outcome, and what was lost.
func (r *rig) tables(out io.Writer) {
	states := []string{"succeeded", "failed", "undone", "skipped"}
	type row struct {
		steps, cut int
		by         map[string]int
	}
	rows, resumed := map[string]*row{}, map[string]int{}
	for _, j := range r.jobs {
		for i, s := range r.status(j.id).Steps {
			if i >= len(j.steps) {
				break
			}
			kind := j.steps[i].kind
			if rows[kind] == nil {
				rows[kind] = &row{by: map[string]int{}}
			}
			rows[kind].steps++
			rows[kind].cut += s.Interrupted
			rows[kind].by[s.State]++
			if s.Resumed != "" {
				resumed[s.Resumed]++
			}
		}
	}
	table := tabwriter.NewWriter(out, 0, 0, 2, ' ', 0)
	fmt.Fprintf(table, "kind\tsteps\tinterrupted\t%s\t\n", strings.Join(states, "\t"))
	for _, kind := range sorted(rows) {
		fmt.Fprintf(table, "%s\t%d\t%d", kind, rows[kind].steps, rows[kind].cut)
		for _, s := range states {
			fmt.Fprintf(table, "\t%d", rows[kind].by[s])
		}
		fmt.Fprintln(table, "\t")
	}
	_ = table.Flush() // out is a terminal or a file
	var cut = map[string]int{}
	for _, e := range r.seen() {
		if e.What == off {
			_, p, _ := strings.Cut(e.Comment, ", ")
			cut[p]++
		}
	}
	fmt.Fprintf(out, "jobs: %d; cuts: %v; resumed: %v; written: %d kB in %d flushes\n", len(r.jobs), cut, resumed, r.disk.written>>10, r.disk.flushes)
}

func sorted[V any](m map[string]V) []string { return slices.Sorted(maps.Keys(m)) }
