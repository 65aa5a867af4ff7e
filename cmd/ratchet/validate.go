package main

import (
	"fmt"
	"strings"

	"github.com/spf13/cobra"

	"github.com/ratchetd/ratchet/agent"
	"github.com/ratchetd/ratchet/cmd/ratchet/internal/jobfile"
	"github.com/ratchetd/ratchet/cmd/ratchet/internal/screen"
	"github.com/ratchetd/ratchet/executor"
)

func (s *session) validateCommand() *cobra.Command {
	return &cobra.Command{
		Use:   "validate FILE...",
		Short: "Check job files and name every problem",
		Long: `Validate checks job files (YAML or JSON, - reads standard input) against the
rules that a device applies, and names every problem by its field and, in YAML,
its line. No broker is needed. The exit code is 1 when a file is bad.`,
		Args: cobra.MinimumNArgs(1),
		RunE: func(_ *cobra.Command, args []string) error { return s.validate(args) },
	}
}

func (s *session) validate(files []string) error {
	bad := 0
	for _, file := range files {
		f, err := jobfile.Read(file, s.in)
		found := f.Problems()
		if err != nil {
			found = []string{err.Error()}
		}
		if len(found) == 0 {
			fmt.Fprintf(s.out, "%s: good\n", file)
			s.warn(f)
			continue
		}
		bad++
		fmt.Fprintln(s.out, strings.Join(found, "\n"))
	}
	if bad > 0 {
		return fmt.Errorf("%d of %d files cannot be sent", bad, len(files))
	}
	return nil
}

// warn says what the author of a job that is good may not have meant.
func (s *session) warn(f jobfile.File) {
	job, err := executor.Parse(f.Text)
	if err != nil {
		return
	}
	for _, text := range executor.Warnings(agent.Kinds(), job) {
		fmt.Fprintf(s.out, "%s: warning: %s\n", f.Name, screen.Line(text))
	}
}
