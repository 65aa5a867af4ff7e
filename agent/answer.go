package agent

import (
	"cmp"
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"strings"
	"time"

	"github.com/ratchetd/ratchet/agent/build"
	"github.com/ratchetd/ratchet/agent/dialect"
	"github.com/ratchetd/ratchet/agent/link"
	"github.com/ratchetd/ratchet/agent/local"
	"github.com/ratchetd/ratchet/executor"
)

// answer answers a program on this device.
func (a *Agent) answer(ctx context.Context, r local.Request, say func(any) error) error {
	switch r.Do {
	case "status":
		return say(a.status())
	case "jobs":
		return a.answerJobs(say)
	case "job":
		s, err := a.job(r.ID)
		if err != nil {
			return err
		}
		return say(s)
	case "submit":
		return a.answerSubmit(ctx, r, say)
	case "cancel":
		return a.answerCancel(r, say)
	case "watch":
		return a.answerWatch(ctx, r.ID, say)
	}
	return fmt.Errorf("do: %q: want status, jobs, job, submit, cancel or watch", r.Do)
}

func (a *Agent) status() local.Status {
	c := a.config.Load()
	used, bound := a.db.Room()
	s := local.Status{
		Device: c.Device, Agent: build.Version(), Uptime: int64(time.Since(a.started).Seconds()),
		Link:      linkStatus(a.link.Status(), a.link.Broker()),
		Journal:   local.JournalStatus{Used: used, Bound: bound, Broken: a.db.Broken()},
		Clock:     a.clock.Status(),
		Schedules: a.scheduleStatus(), Alerts: a.alerts.List(), Health: a.health.Last(),
	}
	if records, err := a.db.Unfinished(); err == nil {
		for _, r := range records {
			s.Jobs = append(s.Jobs, dialect.NewStatus(c.Device, a.report.Report(r)))
		}
	}
	return s
}

func linkStatus(s link.Status, broker string) local.LinkStatus {
	return local.LinkStatus{Broker: broker, Connected: s.Connected, For: s.For, Err: s.Err}
}

func (a *Agent) scheduleStatus() []local.ScheduleStatus {
	var list []local.ScheduleStatus
	for _, s := range a.schedules.Status() {
		list = append(list, local.ScheduleStatus(s))
	}
	return list
}

func (a *Agent) answerJobs(say func(any) error) error {
	records, err := a.db.Records()
	if err != nil {
		return err
	}
	for _, r := range records {
		if err := say(dialect.NewStatus(a.config.Load().Device, a.report.Report(r))); err != nil {
			return err
		}
	}
	return nil
}

func (a *Agent) job(id string) (dialect.JobStatus, error) {
	r, ok, err := a.db.Record(a.intake.KeyOf(id))
	if err == nil && !ok {
		err = fmt.Errorf("no job %s is known here", id)
	}
	return dialect.NewStatus(a.config.Load().Device, a.report.Report(r)), err
}

// answerCancel takes a cancel, which must be signed where jobs must, and says
// whether the job was known.
func (a *Agent) answerCancel(r local.Request, say func(any) error) error {
	c := dialect.Cancel{ID: r.ID}
	if r.Text != "" {
		switch e := dialect.ReadOffer(r.ID, "device", []byte(r.Text)).(type) {
		case dialect.Cancel:
			c = e
		case dialect.Offer:
			return cmp.Or(e.Err, errors.New("the text is no cancel of this job"))
		}
	}
	if !executor.ValidID(strings.ReplaceAll(c.ID, "@", "-")) {
		return fmt.Errorf("id: %q: no job can have it", c.ID)
	}
	_, known, err := a.db.Known(c.ID)
	if err := errors.Join(err, a.intake.Cancel(c)); err != nil {
		return err
	}
	return say(local.Cancelled{ID: c.ID, Known: known})
}

// answerSubmit takes a job from this device's own operator, by the same rules
// as over the link.
func (a *Agent) answerSubmit(ctx context.Context, r local.Request, say func(any) error) error {
	id, known, err := a.intake.Submit(ctx, []byte(r.Text))
	if err != nil {
		return err
	}
	s, err := a.job(id)
	if err != nil {
		return err
	}
	return say(local.Submitted{JobStatus: s, Known: known})
}

// answerWatch says the job's status whenever it changed, until it is final.
func (a *Agent) answerWatch(ctx context.Context, id string, say func(any) error) error {
	last := ""
	for {
		s, err := a.job(id)
		if err != nil {
			return err
		}
		text, err := json.Marshal(s)
		if err != nil {
			return err
		}
		if string(text) != last {
			if err := say(s); err != nil {
				return err
			}
		}
		if last = string(text); s.State.Final() {
			return nil
		}
		select {
		case <-ctx.Done():
			return errors.New("stopped watching")
		case <-time.After(500 * time.Millisecond):
		}
	}
}
