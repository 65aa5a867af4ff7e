package agent

import (
	"errors"

	"github.com/ratchetd/ratchet/agent/config"
	"github.com/ratchetd/ratchet/executor"
)

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
