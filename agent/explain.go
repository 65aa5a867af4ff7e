package agent

import (
	"context"
	"errors"
	"fmt"
	"slices"

	"github.com/ratchetd/ratchet/agent/config"
	"github.com/ratchetd/ratchet/executor"
)

// Explain says what each step of a document would do, and what a power cut
// there would mean.
func Explain(text []byte) ([]string, error) {
	j, err := executor.Parse(text)
	if err != nil {
		return nil, fmt.Errorf("the document: %w", err)
	}
	if err := Check(j); err != nil {
		return nil, fmt.Errorf("the document: %w", err)
	}
	return executor.Explain(Kinds(), j), nil
}

// Check is what a device asks of a job when it is offered, but for what only its
// own configuration knows: it names the first mistake.
func Check(j executor.Job) error {
	const someKey = "0000000000000000" // whether it is signed is not the document's
	a := bare(config.Default())
	a.facts.Kinds = Kinds
	return a.intake.Able(j, someKey)
}

// ExplainHere is Explain on the device whose configuration is at path: where
// firmware is to be written, it also says what this board has for that.
func ExplainHere(ctx context.Context, text []byte, path string) ([]string, error) {
	lines, err := Explain(text)
	if err != nil {
		return nil, err
	}
	j, err := executor.Parse(text)
	if err != nil || !slices.ContainsFunc(slices.Concat(j.Steps, j.OnFailure), func(s executor.Step) bool { return s.Kind == "firmware" }) {
		return lines, err
	}
	c, err := config.Load(path)
	if c == nil {
		return append(lines, "", fmt.Sprintf("This device: its configuration cannot be read: %v", err)), nil
	}
	lines = append(lines, "")
	for _, line := range DescribeBoard(ctx, c) {
		lines = append(lines, "This device: "+line)
	}
	return lines, nil
}

// TryJobs tells what is wrong with the jobs that the configuration names, and
// that this device would begin by itself.
func TryJobs(c *config.Config) error {
	a := bare(c)
	var errs []error
	for _, s := range c.Schedules {
		errs = append(errs, s.At.Wrong("schedule.job", a.tryJob(s.Name, s.Job)))
	}
	for _, r := range c.Alerts {
		if r.Run != "" {
			errs = append(errs, r.At.Wrong("alert.run", a.tryJob(r.Name, r.Run)))
		}
	}
	return errors.Join(errs...)
}

func (a *Agent) tryJob(name, path string) error {
	text, err := config.ReadJobFile(path)
	if err != nil {
		return err
	}
	job, err := executor.Parse(text)
	if err != nil {
		return err
	}
	job.ID = name + "@"
	return a.intake.Able(job, "")
}
