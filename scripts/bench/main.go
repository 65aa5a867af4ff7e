// Command bench measures a built ratchetd from outside: what it costs while
// idle, how fast jobs go through it, and what a step costs the disk. Every
// figure stands beside the floor that the same machine gave in the same run.
// It prints tables and judges nothing: times on a busy machine prove nothing.
//
//	make build && go run ./scripts/bench [-idle 2m] [idle] [health] [jobs] [resume] [disk] [memory]
package main

import (
	"context"
	"flag"
	"fmt"
	"os"
	"os/signal"
	"path/filepath"
	"slices"
	"syscall"
	"time"
)

// A bench is what all measurements share.
type bench struct {
	daemon string        // ratchetd's path
	filler string        // the one that fills a journal
	ids    int           // that a full journal knows
	idle   time.Duration // how long an idle daemon is watched
	dir    string
	broker *broker

	emulated bool // ratchetd is a script that runs it in qemu's user mode
}

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
}

func main() {
	b := &bench{}
	flag.StringVar(&b.daemon, "daemon", "build/ratchetd", "the program to measure")
	flag.StringVar(&b.filler, "filler", "build/ratchetd", "the program that fills a journal to be measured with")
	flag.IntVar(&b.ids, "ids", 4090, "how many ids a full journal knows; 4,096 is all that it takes")
	flag.BoolVar(&b.emulated, "emulated", false, "the program is run by qemu's user mode: of its memory the emulator's is left out")
	flag.DurationVar(&b.idle, "idle", time.Minute, "how long to watch an idle one, after half of it to settle")
	flag.Parse()
	ctx, stop := signal.NotifyContext(context.Background(), os.Interrupt, syscall.SIGTERM)
	defer stop()
	if err := b.run(ctx, flag.Args()); err != nil {
		fmt.Fprintln(os.Stderr, "bench:", err)
		os.Exit(1)
	}
}

func (b *bench) run(ctx context.Context, only []string) (err error) {
	if b.daemon, err = filepath.Abs(b.daemon); err != nil {
		return err
	}
	if _, err := os.Stat(b.daemon); err != nil {
		return fmt.Errorf("%w: make build first, or name the program with -daemon", err)
	}
	if b.filler, err = filepath.Abs(b.filler); err != nil {
		return err
	}
	if b.dir, err = os.MkdirTemp("", "ratchet-bench"); err != nil {
		return err
	}
	defer os.RemoveAll(b.dir)
	if b.broker, err = startBroker(b.dir); err != nil {
		return fmt.Errorf("starting the broker: %w", err)
	}
	defer b.broker.Close()
	for _, s := range sections {
		if len(only) > 0 && !slices.Contains(only, s.name) {
			continue
		}
		if err := s.run(b, ctx); err != nil {
			return fmt.Errorf("%s: %w", s.name, err)
		}
	}
	return nil
}
