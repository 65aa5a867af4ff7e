package main

import (
	"context"
	"fmt"
	"strconv"
	"time"

	"github.com/ratchetd/ratchet/cmd/ratchet/internal/demo"
	"github.com/ratchetd/ratchet/cmd/ratchet/internal/show"
	"github.com/spf13/cobra"
	"golang.org/x/sync/errgroup"
)

const demoLimit = 55 * time.Second

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
			path, err := demo.FindDaemon(binary)
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

func (s *session) demo(ctx context.Context, binary string) error {
	st := &demo.Stage{}
	defer st.Clear()
	fmt.Fprintln(s.out, "Starting a broker, a file server and three devices ...")
	if err := st.Set(ctx, binary); err != nil {
		return err
	}
	fmt.Fprint(s.out, "A job of six steps goes to each. In step 3 the power of gw-2 goes.\n\n")
	if err := st.Offer(ctx); err != nil {
		return err
	}
	notes := make(chan string, 2)
	g, ctx := errgroup.WithContext(ctx)
	g.Go(func() error { return st.CutAndReturn(ctx, notes) })
	g.Go(func() error { return st.Job.Follow(ctx, st.Client, show.Job(s.out, s.out, false), notes) })
	if err := g.Wait(); err != nil {
		return err
	}
	return s.account(st.Account())
}

// account shows how often each step really ran.
func (s *session) account(all demo.Account) error {
	fmt.Fprintln(s.out)
	t := show.NewTable(s.out, "DEVICE", "STEP", "STATE", "ATTEMPTS", "CUT", "REALLY RAN", "AS PROMISED")
	for _, e := range all {
		ran, kept := "", "yes"
		if e.Ran >= 0 {
			ran = strconv.Itoa(e.Ran)
		}
		if !e.Kept() {
			kept = "NO"
		}
		t.Row(e.Device, e.Step.Name, string(e.Step.State), strconv.Itoa(e.Step.Attempts), strconv.Itoa(e.Step.Interrupted), ran, kept)
	}
	if err := t.Flush(); err != nil {
		return err
	}
	if err := all.Kept(); err != nil {
		return err
	}
	fmt.Fprint(s.out, "\nEvery step ran as promised. No step that was done ran again; the one that the\npower cut "+
		"met ran once more, as its author declared (ifInterrupted: rerun).\n")
	return nil
}
