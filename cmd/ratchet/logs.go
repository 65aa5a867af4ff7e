package main

import (
	"context"
	"encoding/json"
	"fmt"

	"github.com/ratchetd/ratchet/agent/dialect"
	"github.com/ratchetd/ratchet/cmd/ratchet/internal/fleet"
	"github.com/ratchetd/ratchet/cmd/ratchet/internal/link"
	"github.com/ratchetd/ratchet/cmd/ratchet/internal/screen"
	"github.com/ratchetd/ratchet/executor"
	"github.com/spf13/cobra"
)

func (s *session) logsCommand() *cobra.Command {
	var follow bool
	cmd := &cobra.Command{
		Use:   "logs JOB DEVICE",
		Short: "Show what a job's steps printed on a device",
		Long: `Logs shows the last of what each step of a job printed on one device. With --follow
it goes on with what comes, which devices send of steps with stream: true, until the
job is done there; the exit code is then 3 when it did not succeed.`,
		Args: cobra.ExactArgs(2),
		RunE: func(cmd *cobra.Command, args []string) error {
			if err := checkJobID(args[0]); err != nil {
				return usageError{err}
			}
			if err := checkDevice(args[1]); err != nil {
				return err
			}
			return s.logs(cmd.Context(), args[0], args[1], follow)
		},
		ValidArgsFunction: func(cmd *cobra.Command, args []string, _ string) ([]string, cobra.ShellCompDirective) {
			names := s.known(cmd.Context())
			return [][]string{names.Jobs, names.Devices, nil}[min(len(args), 2)], cobra.ShellCompDirectiveNoFileComp
		},
	}
	cmd.Flags().BoolVar(&follow, "follow", false, "go on with what comes")
	s.link.Flags(cmd.Flags())
	return cmd
}

func (s *session) logs(ctx context.Context, job, device string, follow bool) error {
	c, err := s.dial(ctx)
	if err != nil {
		return err
	}
	defer c.Close()
	f, err := fleet.Read(ctx, c, fleet.Statuses(device, job), fleet.Logs(device, job))
	if err != nil {
		return err
	}
	status, known := f.Device(device).Jobs[job]
	if !known && !follow {
		return fmt.Errorf("%s has reported nothing of a job %s", device, job)
	}
	for _, step := range status.Steps {
		if step.Output != "" {
			fmt.Fprintf(s.out, "%s:\n", screen.Line(step.Name))
			fmt.Fprintln(s.out, trimEnd(step.Output))
		}
	}
	if !follow {
		return nil
	}
	last, _, err := s.stream(ctx, c, f, device, job)
	if err == nil && last.State != executor.Succeeded {
		err = errJobFailed
	}
	return err
}

// stream shows the live output of a job on one device until it is done there. It
// reports whether there was any.
func (s *session) stream(ctx context.Context, c *link.Client, f *fleet.Fleet, device, job string) (dialect.JobStatus, bool, error) {
	any := false
	for {
		if status := f.Device(device).Jobs[job]; status.State.Final() {
			return status, any, nil
		}
		select {
		case m := <-c.Feed():
			f.Apply(m)
			var line dialect.LogLine
			if m.Topic.Part == "logs" && json.Unmarshal(m.Payload, &line) == nil {
				any = true
				out := s.out
				if line.Stream == "stderr" {
					out = s.err
				}
				fmt.Fprintln(out, trimEnd(line.Text))
			}
		case <-ctx.Done():
			return f.Device(device).Jobs[job], any, context.Cause(ctx)
		}
	}
}
