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
	"github.com/ratchetd/ratchet/agent/clock"
	"github.com/ratchetd/ratchet/agent/dialect"
	"github.com/ratchetd/ratchet/executor"
	"github.com/ratchetd/ratchet/telemetry"
)

// Status is how the agent is, for the local socket.
type Status struct {
	Device    string              `json:"device"`
	Agent     string              `json:"agent"`
	Uptime    int64               `json:"uptime"` // of the agent, in seconds
	Link      LinkStatus          `json:"link"`
	Journal   JournalStatus       `json:"journal"`
	Clock     clock.Status        `json:"clock"`
	Jobs      []dialect.JobStatus `json:"jobs,omitempty"` // unfinished ones
	Schedules []ScheduleStatus    `json:"schedules,omitempty"`
	Alerts    []dialect.Alert     `json:"alerts,omitempty"`
	Health    *telemetry.Sample   `json:"health,omitempty"`
}

// LinkStatus is how the connection to the broker is.
type LinkStatus struct {
	Broker    string `json:"broker"`
	Connected bool   `json:"connected"`
	For       int64  `json:"for"` // seconds
	Err       string `json:"error,omitempty"`
}

// Cancelled answers a cancel: one of a job that is not known is remembered.
type Cancelled struct {
	ID    string `json:"id"`
	Known bool   `json:"known"`
}

// JournalStatus is how full the journal is, in bytes.
type JournalStatus struct {
	Used   int64  `json:"used"`
	Bound  int64  `json:"bound"`
	Broken string `json:"broken,omitempty"` // why an earlier one was set aside
}

// listen answers programs on this device until ctx ends.
func (a *Agent) listen(ctx context.Context) error {
	l := &local{path: SocketPath(a.config.Load().State), handle: a.answer, log: a.log}
	if err := l.run(ctx); err != nil {
		a.log.Error("no local socket: jobs run, but nobody on this device can ask", "err", err)
	}
	return nil
}

func (a *Agent) answer(ctx context.Context, r Request, say func(any) error) error {
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

func (a *Agent) status() Status {
	c := a.config.Load()
	used, bound := a.db.Room()
	s := Status{
		Device: c.Device, Agent: build.Version(), Uptime: int64(time.Since(a.started).Seconds()),
		Link:      a.link.status(),
		Journal:   JournalStatus{Used: used, Bound: bound, Broken: a.db.Broken()},
		Clock:     a.clock.Status(),
		Schedules: a.schedules.status(), Alerts: a.alerts.list(), Health: a.health.Load(),
	}
	s.Link.Broker = c.Link.Broker
	if records, err := a.db.Unfinished(); err == nil {
		for _, r := range records {
			s.Jobs = append(s.Jobs, dialect.NewStatus(c.Device, a.told.over(r)))
		}
	}
	return s
}

func (l *link) status() LinkStatus {
	l.mu.Lock()
	defer l.mu.Unlock()
	s := LinkStatus{Connected: l.session != nil, For: int64(time.Since(l.since).Seconds())}
	switch {
	case l.session == nil && l.err != nil:
		s.Err = l.err.Error()
	case l.session != nil && l.unheard.Load() > 1:
		s.Err = unheard
	}
	return s
}

func (a *Agent) answerJobs(say func(any) error) error {
	records, err := a.db.Records()
	if err != nil {
		return err
	}
	for _, r := range records {
		if err := say(dialect.NewStatus(a.config.Load().Device, a.told.over(r))); err != nil {
			return err
		}
	}
	return nil
}

func (a *Agent) job(id string) (dialect.JobStatus, error) {
	r, ok, err := a.db.Record(a.keyOf(id))
	if err == nil && !ok {
		err = fmt.Errorf("no job %s is known here", id)
	}
	return dialect.NewStatus(a.config.Load().Device, a.told.over(r)), err
}

// answerCancel takes a cancel, which must be signed where jobs must, and says
// whether the job was known.
func (a *Agent) answerCancel(r Request, say func(any) error) error {
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
	if err := errors.Join(err, a.cancel(c)); err != nil {
		return err
	}
	return say(Cancelled{ID: c.ID, Known: known})
}

// answerSubmit takes a job from this device's own operator, by the same rules
// as over the link.
func (a *Agent) answerSubmit(ctx context.Context, r Request, say func(any) error) error {
	id, err := a.submit(ctx, []byte(r.Text))
	if err != nil {
		return err
	}
	s, err := a.job(id)
	if err != nil {
		return err
	}
	return say(s)
}

// submit takes a job, bare or in an envelope, that came by no link.
func (a *Agent) submit(ctx context.Context, text []byte) (id string, err error) {
	e, err := dialect.OpenEnvelope(text)
	if err != nil {
		return "", err
	}
	job, err := executor.Parse([]byte(e.Job))
	if err != nil {
		return "", err
	}
	o, ok := dialect.ReadOffer(job.ID, "device", text).(dialect.Offer)
	if !ok {
		return "", errors.New("the text is no job")
	}
	return job.ID, a.offer(ctx, o, false)
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
