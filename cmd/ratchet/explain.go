package main

import (
	"fmt"

	"github.com/spf13/cobra"

	"github.com/ratchetd/ratchet/agent"
	"github.com/ratchetd/ratchet/cmd/ratchet/internal/jobfile"
	"github.com/ratchetd/ratchet/cmd/ratchet/internal/screen"
	"github.com/ratchetd/ratchet/executor"
)

func (s *session) explainCommand() *cobra.Command {
	return &cobra.Command{
		Use:   "explain FILE",
		Short: "Say what a job would do, and what a power cut in each step would mean",
		Long: `Explain says in words what a job (YAML or JSON, - reads standard input) would do
on a device: each step, how often it is tried, what a power cut in it would mean
and what is taken back when it fails. No broker is needed and nothing is sent.`,
		Args: cobra.ExactArgs(1),
		RunE: func(_ *cobra.Command, args []string) error {
			f, err := jobfile.Read(args[0], s.in)
			if err != nil {
				return err
			}
			job, err := f.Job()
			if err != nil {
				return err
			}
			for _, line := range executor.Explain(agent.Kinds(), job) {
				fmt.Fprintln(s.out, screen.Line(line))
			}
			return nil
		},
	}
}
