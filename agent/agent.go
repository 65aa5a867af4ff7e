// Package agent is the daemon as a library: the loops that connect the broker,
// the journal, the executor and the board, and nothing else. What a message
// means is the dialect's business, what a job means the executor's, and what a
// step does the kind's.
package agent

import (
	"context"
	"errors"
	"fmt"
	"log/slog"
	"net/http"
	"os"
	"path/filepath"
	"sync/atomic"
	"time"

	"golang.org/x/sync/errgroup"

	"github.com/ratchetd/ratchet/agent/clock"
	"github.com/ratchetd/ratchet/agent/config"
	"github.com/ratchetd/ratchet/agent/dialect"
	"github.com/ratchetd/ratchet/executor"
	"github.com/ratchetd/ratchet/executor/step/fetch"
	"github.com/ratchetd/ratchet/executor/step/policy"
	"github.com/ratchetd/ratchet/executor/step/process"
	"github.com/ratchetd/ratchet/store"
	"github.com/ratchetd/ratchet/telemetry"
)

// An Agent is one device's daemon. Make it with New.
type Agent struct {
	log            *slog.Logger
	started        time.Time
	boot           string
	config         *config.Current
	secrets        *config.Secrets
	db             *store.DB
	wrap           func(Journal) Journal
	journal        Journal
	groups         process.Groups
	sampler        *telemetry.Sampler
	clock          clock.Clock
	fetches        *pace
	web            *http.Client // of steps; nil is one of their own
	queue          *queue
	running        running
	told           *reports
	link           *link
	alerts         *alerts
	renewals       renewals
	defended       defended
	failing        bool // the last commit failed; the work loop's own
	unpruned       int  // jobs that ended since the history was pruned; the work loop's own
	fetchedForRoom atomic.Pointer[time.Time]
	custom         telemetry.Custom
	packages       telemetry.Packages
	lastFacts      atomic.Pointer[factsRead]
	health         atomic.Pointer[telemetry.Sample]
	stop           context.CancelCauseFunc // ends Run
	backlog        *backlog
	lastBoot       *telemetry.Boot
	pulse          *pulse
	schedules      *schedules
	rules          rules
	spool          spool
}

// A Journal is what of the store must be durable before anything follows from
// it. It is an interface so that tests can cut the power there.
type Journal interface {
	executor.Journal
	Accept(executor.Record) (store.Verdict, error)
	Cancel(id string, signed time.Time) error
	ReadBack([]store.Past) error
}

// New is an agent with this configuration.
func New(c *config.Config, log *slog.Logger) (*Agent, error) {
	boot, err := telemetry.BootID()
	if err != nil {
		return nil, fmt.Errorf("without the id of this boot a reboot cannot be told from a restart: %w", err)
	}
	a := &Agent{config: &config.Current{}, log: log, started: time.Now(), boot: boot,
		queue: newQueue(), told: newReports(), link: newLink(), backlog: newBacklog(), pulse: newPulse(), fetches: newPace(), lastBoot: bootOf(boot, ""), sampler: &telemetry.Sampler{Device: c.Device, Log: log}}
	a.config.Store(c)
	a.secrets = config.NewSecrets(a.config)
	a.groups = process.Groups{Dir: config.RuntimeDir(c.State), Boot: a.boot}
	a.web = fetch.NewClient(a.clock.Now)
	a.alerts = &alerts{agent: a}
	a.schedules, a.rules = newSchedules(a), rules{agent: a}
	a.spool.agent = a
	a.custom.Dir, a.custom.Log = filepath.Join(c.Dir(), "facts.d"), log
	return a, nil
}

// Wrap puts what f makes between the agent and its journal. Call it before Run.
func (a *Agent) Wrap(f func(Journal) Journal) { a.wrap = f }

// Run opens the journal and works until ctx ends. A step that is running then
// gets its grace, what is known by then is told, and the link is closed.
// SIGUSR1 from asked makes it connect to the broker anew, and any other signal
// read its configuration again.
//
// ErrRestart says that it is to be started anew, from its binary. Where a part of
// it hangs Run says so and leaves that behind: the process is to end then.
func (a *Agent) Run(ctx context.Context, asked <-chan os.Signal) error {
	ctx, a.stop = context.WithCancelCause(ctx)
	defer a.stop(nil)
	if err := a.open(); err != nil {
		return err
	}
	ended := make(chan error, 1)
	go func() { ended <- a.loops(ctx, asked) }()
	return a.guard(ctx, ended)
}

// loops works until ctx ends, and closes the journal.
func (a *Agent) loops(ctx context.Context, asked <-chan os.Signal) error {
	defer a.db.Close()
	defer os.Remove(a.groups.Dir) // unless it still notes a group
	// The link outlives the work: how the last step ended is to be told.
	linked, unlink := context.WithCancel(context.WithoutCancel(ctx))
	defer unlink()
	work, workCtx := errgroup.WithContext(ctx)
	work.Go(func() error { return a.work(workCtx) })
	work.Go(func() error { return a.watchHealth(workCtx) })
	work.Go(func() error { return a.schedules.run(workCtx) })
	work.Go(func() error { return a.watchFacts(workCtx) })
	work.Go(func() error { return a.watchSockets(workCtx) })
	work.Go(func() error { return a.watchCertificate(workCtx) })
	work.Go(func() error { return a.listen(workCtx) })
	work.Go(func() error { return a.obey(workCtx, asked) })
	talk, talkCtx := errgroup.WithContext(linked)
	talk.Go(func() error { return a.connect(talkCtx) })
	talk.Go(func() error { return a.report(talkCtx) })
	talk.Go(func() error { return a.sendSamples(talkCtx) })
	err := work.Wait()
	a.told.flush(2 * time.Second)
	unlink()
	if talkErr := talk.Wait(); err == nil {
		err = talkErr
	}
	a.spillAll()
	if markErr := a.noteStop(); markErr != nil {
		a.log.Warn("that the agent was stopped is not in the journal", "err", markErr)
	}
	if err == nil && context.Cause(ctx) == ErrRestart {
		err = ErrRestart
	}
	return err
}

// open takes the state directory into use: what an earlier agent left running
// is ended, and unfinished jobs are queued.
func (a *Agent) open() error {
	c := a.config.Load()
	if err := os.MkdirAll(c.State, 0o700); err != nil {
		return fmt.Errorf("making the state directory: %w", err)
	}
	db, err := store.Open(c.State, store.Options{Log: a.log, Now: a.clock.Now})
	if err != nil {
		return err
	}
	a.db, a.journal = db, floored{db, a}
	if a.wrap != nil {
		a.journal = a.wrap(a.journal)
	}
	if err := a.groups.KillLeftovers(); err != nil {
		a.log.Warn("children of an earlier agent may still run", "err", err)
	}
	a.clock.Start(db.Floor())
	if err := a.alerts.load(); err != nil {
		a.log.Warn("alerts of an earlier run are lost", "err", err)
	}
	if why := db.Broken(); why != "" {
		a.log.Error("the journal could not be used and was set aside", "err", why)
		a.alerts.raise("journal-broken", "critical", "the journal was set aside: "+why)
	}
	unfinished, err := db.Unfinished()
	if err != nil {
		return err
	}
	for _, r := range unfinished {
		if !recurs(r) {
			a.queue.add(r, false)
		}
	}
	a.sweep(unfinished)
	a.forgetOld(unfinished)
	if err := errors.Join(a.restore(), a.noteBoot()); err != nil {
		a.log.Warn("what an earlier agent noted of the board's health is lost", "err", err)
	}
	return a.lookBack()
}

// lookBack raises what a cut between the end of a job and its alert has lost.
func (a *Agent) lookBack() error {
	untold, err := a.db.Untold()
	for _, r := range untold {
		if r.State.Final() {
			a.alertOf(r)
		}
	}
	return err
}

// sweep removes the undo data of jobs that are over: a cut may have come
// between their end and that.
func (a *Agent) sweep(unfinished []executor.Record) {
	keep := map[string]bool{}
	for _, r := range unfinished {
		keep[executor.TaskDir(r)] = true
	}
	dirs, err := os.ReadDir(a.taskDir())
	if err != nil && !os.IsNotExist(err) {
		a.log.Warn("undo data of jobs that are over stays", "err", err)
	}
	for _, d := range dirs {
		if !keep[d.Name()] {
			if err := os.RemoveAll(filepath.Join(a.taskDir(), d.Name())); err != nil {
				a.log.Warn("undo data of a job that is over stays", "err", err)
			}
		}
	}
}

func (a *Agent) taskDir() string { return filepath.Join(a.config.Load().State, "tasks") }

func (a *Agent) dialect() dialect.Dialect { return a.config.Load().Dialect() }

func (a *Agent) policy() policy.Policy { return a.config.Load().StepPolicy() }

// floored carries the time floor along with every commit, and wakes the report.
type floored struct {
	*store.DB
	a *Agent
}

func (f floored) Put(r executor.Record) error {
	f.SetFloor(f.a.clock.Floor())
	if err := f.DB.Put(r); err != nil {
		return err
	}
	f.a.told.waiting(r.Key, "")
	f.a.told.wake()
	return nil
}
