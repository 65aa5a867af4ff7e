// Command bench measures a built ratchetd from outside: what it costs while
// idle, how fast jobs go through it, and what a step costs the disk. Every
// figure stands beside the floor that the same machine gave in the same run.
// It prints tables and judges nothing: times on a busy machine prove nothing.
//
//	make build && go run ./scripts/bench [-idle 2m] [idle] [health] [jobs] [resume] [disk] [memory] [boards]
package main

import (
	"context"
	"flag"
	"fmt"
	"os"
	"os/signal"
	"slices"
	"syscall"
	"time"
)

var sections = []struct {
	name string
	run  func(*bench, context.Context) error
}{
	{"idle", (*bench).measureIdle},
	{"health", (*bench).measureHealth},
	{"jobs", (*bench).measureJobs},
	{"resume", (*bench).measureResume},
	{"disk", (*bench).measureDisk},
	{"memory", (*bench).measureMemory},
	{"boards", (*bench).measureBoards}, // where it is asked for: it wants every program and package
}

func main() {
	b := &bench{}
	daemon := flag.String("daemon", "build/ratchetd", "the program to measure; for another processor qemu's user mode runs it")
	filler := flag.String("filler", "build/ratchetd", "the program that fills a journal to be measured with")
	flag.IntVar(&b.ids, "ids", 4090, "how many ids a full journal knows; 4,096 is all that it takes")
	flag.StringVar(&b.settings, "settings", "GOGC=25; GOGC=100; GOMEMLIMIT=8MiB", "environments that memory compares, or grid for all that it knows")
	flag.StringVar(&b.dist, "dist", "dist", "where boards finds the programs and the packages")
	flag.DurationVar(&b.idle, "idle", time.Minute, "how long to watch an idle one, after half of it to settle")
	flag.Parse()
	ctx, stop := signal.NotifyContext(context.Background(), os.Interrupt, syscall.SIGTERM)
	defer stop()
	if err := b.run(ctx, *daemon, *filler, flag.Args()); err != nil {
		fmt.Fprintln(os.Stderr, "bench:", err)
		os.Exit(1)
	}
}

func (b *bench) run(ctx context.Context, daemon, filler string, only []string) (err error) {
	if b.dir, err = os.MkdirTemp("", "ratchet-bench"); err != nil {
		return err
	}
	defer os.RemoveAll(b.dir)
	if b.daemon, err = b.load(daemon); err != nil {
		return err
	}
	if b.filler, err = b.load(filler); err != nil {
		return err
	}
	if b.broker, err = startBroker(b.dir); err != nil {
		return fmt.Errorf("starting the broker: %w", err)
	}
	defer b.broker.Close()
	for _, s := range sections {
		if len(only) == 0 && s.name == "boards" || len(only) > 0 && !slices.Contains(only, s.name) {
			continue
		}
		if err := s.run(b, ctx); err != nil {
			return fmt.Errorf("%s: %w", s.name, err)
		}
	}
	return nil
}
