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
	"os/signal"
	"path/filepath"
	"strings"
	"syscall"
	"time"

	"golang.org/x/sync/errgroup"

	"github.com/ratchetd/ratchet/agent/alert"
	"github.com/ratchetd/ratchet/agent/clock"
	"github.com/ratchetd/ratchet/agent/config"
	"github.com/ratchetd/ratchet/agent/facts"
	"github.com/ratchetd/ratchet/agent/health"
	"github.com/ratchetd/ratchet/agent/intake"
	"github.com/ratchetd/ratchet/agent/link"
	"github.com/ratchetd/ratchet/agent/local"
	"github.com/ratchetd/ratchet/agent/report"
	"github.com/ratchetd/ratchet/agent/rule"
	"github.com/ratchetd/ratchet/agent/schedule"
	"github.com/ratchetd/ratchet/agent/watchdog"
	"github.com/ratchetd/ratchet/executor"
	"github.com/ratchetd/ratchet/executor/step/fetch"
	"github.com/ratchetd/ratchet/executor/step/policy"
	"github.com/ratchetd/ratchet/executor/step/process"
	"github.com/ratchetd/ratchet/store"
	"github.com/ratchetd/ratchet/telemetry"
)

// An Agent is one device's daemon. Make it with New.
type Agent struct {
	config  *config.Current
	log     *slog.Logger
	started time.Time
	boot    string // the id of this boot
	clock   clock.Clock
	stop    context.CancelCauseFunc // ends Run

	db      *store.DB
	wrap    func(Journal) Journal
	journal Journal

	link      *link.Link
	intake    *intake.Intake
	report    *report.Reporter
	facts     *facts.Facts
	alerts    *alert.Alerts
	rules     alert.Rules
	schedules *schedule.Schedules
	spool     schedule.Spool
	health    *health.Health
	watchdog  *watchdog.Watchdog

	queue    *queue
	running  running
	failing  bool          // the last commit failed; the work loop's own
	unpruned int           // jobs that ended since the history was pruned; the work loop's own
	calls    chan struct{} // a place for each call that is being answered

	groups    process.Groups
	simulated *Simulation // nil: the board is there

	web     *http.Client // of steps; nil is one of their own
	secrets *config.Secrets
}

// New is an agent with this configuration.
func New(c *config.Config, log *slog.Logger) (*Agent, error) {
	if err := CheckPolicy(c); err != nil {
		return nil, err
	}
	boot, err := telemetry.BootID()
	if err != nil {
		return nil, fmt.Errorf("without the id of this boot a reboot cannot be told from a restart: %w", err)
	}
	a := &Agent{config: &config.Current{}, log: log, started: time.Now(), boot: boot, queue: newQueue(), calls: make(chan struct{}, maxCalls),
		link: link.New(), intake: intake.New(), report: report.New(), health: health.New(), watchdog: watchdog.New(), schedules: schedule.New()}
	a.config.Store(c)
	a.secrets = config.NewSecrets(a.config)
	a.groups = process.Groups{Dir: config.RuntimeDir(c.State), Boot: boot}
	a.web = fetch.NewClient(a.clock.Now)
	a.facts = &facts.Facts{Config: a.config, Kinds: a.kinds, Custom: telemetry.Custom{Dir: filepath.Join(c.Dir(), "facts.d"), Log: log, Owned: config.OwnProgram}, Log: log}
	a.connectParts(c)
	return a, nil
}

// connectParts gives each part what it needs of the others, but for the journal.
func (a *Agent) connectParts(c *config.Config) {
	a.alerts = &alert.Alerts{Config: a.config, Clock: &a.clock, Say: a.report.Say, Log: a.log}
	a.rules = alert.Rules{Alerts: a.alerts, Intake: a.intake}

	l := a.link
	l.Config, l.Clock, l.Handler, l.Raise, l.Log = a.config, &a.clock, events{a}, a.alerts.Raise, a.log

	i := a.intake
	i.Judge = intake.Judge{Config: a.config, Clock: &a.clock, Facts: a.facts, Env: board{a}.Env, Started: a.started}
	i.Desk, i.Report, i.Raise, i.Clear, i.Web, i.Log = &desk{agent: a}, a.report, a.alerts.Raise, a.alerts.Clear, a.web, a.log

	r := a.report
	r.Config, r.Link, r.Raise, r.Loop, r.Log = a.config, a.link, a.alerts.Raise, a.watchdog.Report, a.log

	s := a.schedules
	s.Config, s.Clock, s.Intake, s.Report, s.Boot, s.Started, s.Log = a.config, &a.clock, a.intake, a.report, a.boot, a.started, a.log
	a.spool = schedule.Spool{Config: a.config, Intake: a.intake, Log: a.log}

	h := a.health
	h.Config, h.Clock, h.Link, h.BootID, h.Log = a.config, &a.clock, a.link, a.boot, a.log
	h.Board = &telemetry.Sampler{Device: c.Device, Log: a.log}

	w := a.watchdog
	w.Linking, w.Summary, w.Restart, w.Log = a.link.Making, a.summary, ErrRestart, a.log
}

// useJournal gives each part the journal.
func (a *Agent) useJournal(db *store.DB) {
	a.db, a.journal = db, commit{db, &a.clock, a.report}
	if a.wrap != nil {
		a.journal = a.wrap(a.journal)
	}
	a.link.DB, a.alerts.DB, a.report.DB = db, db, db
	a.intake.DB, a.intake.Journal = db, a.journal
	a.schedules.DB, a.schedules.Journal = db, a.journal
	a.health.DB = db
	a.watchdog.Commit = db.AwaitCommit
}

// Wrap puts what f makes between the agent and its journal. Call it before Run.
func (a *Agent) Wrap(f func(Journal) Journal) { a.wrap = f }

// Run opens the journal and works until ctx ends. A step that is running then
// gets its grace, what is known by then is told, and the link is closed.
// SIGUSR1 from asked makes it connect to the broker again, and any other signal
// read its configuration again.
//
// ErrRestart says that it is to be started again, from its binary. Where a part of
// it hangs Run says so and leaves that behind: the process is to end then.
func (a *Agent) Run(ctx context.Context, asked <-chan os.Signal) error {
	ctx, a.stop = context.WithCancelCause(ctx)
	defer a.stop(nil)
	if err := a.open(); err != nil {
		return err
	}
	ended := make(chan error, 1)
	go func() { ended <- a.loops(ctx, asked) }()
	return a.watchdog.Guard(ctx, ended)
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
	work.Go(func() error { return a.health.Watch(workCtx, a.onSample) })
	work.Go(func() error { return a.schedules.Run(workCtx) })
	work.Go(func() error { return a.facts.Watch(workCtx, events{a}.factsChanged) })
	work.Go(func() error { return a.health.Defend(workCtx) })
	work.Go(func() error { return a.watchCertificate(workCtx) })
	work.Go(func() error { return a.obey(workCtx, asked) })
	work.Go(func() error { return a.mind(workCtx) })
	if a.simulated == nil {
		work.Go(func() error { return a.listen(workCtx) })
		work.Go(func() error { return a.bury(workCtx) })
	}
	talk, talkCtx := errgroup.WithContext(linked)
	talk.Go(func() error { return a.link.Run(talkCtx) })
	talk.Go(func() error { return a.report.Run(talkCtx) })
	talk.Go(func() error { return a.health.Run(talkCtx) })
	err := work.Wait()
	a.report.Flush(2 * time.Second)
	unlink()
	if talkErr := talk.Wait(); err == nil {
		err = talkErr
	}
	a.health.Spill()
	if markErr := a.health.RecordStop(); markErr != nil {
		a.log.Warn("that the agent was stopped is not in the journal", "err", markErr)
	}
	if err == nil && context.Cause(ctx) == ErrRestart {
		err = ErrRestart
	}
	return err
}

// bury takes care of orphans of steps, where they are given to this process.
func (a *Agent) bury(ctx context.Context) error {
	if a.groups.Control != "" && os.Getpid() != 1 {
		return nil
	}
	died := make(chan os.Signal, 1)
	signal.Notify(died, syscall.SIGCHLD)
	defer signal.Stop(died)
	process.Reap(died, process.OrphanAge, ctx.Done())
	return nil
}

// onSample lets everything look at the board that does so now and then: whoever
// samples it is awake anyway.
func (a *Agent) onSample(ctx context.Context, s telemetry.Sample) {
	a.schedules.Heed()
	l := a.link.Status()
	a.rules.Judge(ctx, s, rule.LinkInput{Connected: l.Connected, For: l.For, Drops: a.link.Drops(dropsWithin)})
	a.judgeCollectors()
	a.alerts.Age()
	a.spool.Collect(ctx)
}

// judgeCollectors raises what of the board can no longer be read.
func (a *Agent) judgeCollectors() {
	if why := strings.Trim(a.health.Board.Failing()+"; "+a.facts.Failing()+"; "+a.facts.Custom.Failing(), "; "); why != "" {
		a.alerts.Raise("collector", "warning", "left out of what this device reports: "+why)
	} else {
		a.alerts.Clear("collector")
	}
}

// dropsWithin is the time in which rules see connections that were lost.
const dropsWithin = 15 * time.Minute

// listen answers programs on this device until ctx ends.
func (a *Agent) listen(ctx context.Context) error {
	s := &local.Server{Path: local.Path(a.config.Load().State), Answer: a.answer, Log: a.log}
	if err := s.Run(ctx); err != nil {
		a.log.Error("no local socket: jobs run, but nobody on this device can ask", "err", err)
	}
	return nil
}

// open takes the state directory into use: what an earlier agent left running
// is ended, and unfinished jobs are queued.
func (a *Agent) open() error {
	c := a.config.Load()
	if err := c.TryState(); err != nil {
		return err
	}
	if err := os.MkdirAll(c.State, 0o700); err != nil {
		return fmt.Errorf("state: %w", err)
	}
	if err := config.OwnOnly(c.State); err != nil {
		return fmt.Errorf("state: %w", err) // what lies there is restored by root
	}
	db, err := store.Open(c.State, store.Options{Log: a.log, Now: a.clock.Now})
	if err != nil {
		return err
	}
	a.useJournal(db)
	if a.simulated == nil {
		a.adopt()
	}
	a.clock.Start(db.Floor())
	if err := a.alerts.Load(); err != nil {
		a.log.Warn("alerts of an earlier run are lost", "err", err)
	}
	a.judgeConfig()
	a.foundLost()
	if why := db.Broken(); why != "" {
		a.log.Error("the journal could not be used and was set aside", "err", why)
		a.alerts.Raise("journal-broken", "critical", "the journal was set aside: "+why)
	}
	unfinished, err := db.Unfinished()
	if err != nil {
		return err
	}
	a.queue.hold() // until the broker had its chance to say what it offers now
	for _, r := range unfinished {
		if !intake.Recurs(r) {
			a.queueUp(r, r.State == executor.Queued && intake.Offered(r))
		}
	}
	for _, id := range db.Uncleared() { // an agent before this one was cut as it told of that
		a.report.Forget(id)
	}
	a.sweep(unfinished)
	a.forgetOld(unfinished)
	if err := errors.Join(a.health.Restore(), a.health.RecordBoot()); err != nil {
		a.log.Warn("what an earlier agent noted of the board's health is lost", "err", err)
	}
	return a.lookBack()
}

// adopt makes this process the one that children of steps belong to, and ends
// those that an earlier agent left.
func (a *Agent) adopt() {
	if a.groups.Control = process.ControlGroups(); a.groups.Control == "" {
		if err := process.Adopt(); err != nil {
			a.log.Warn("a child that leaves its step's process group may outlive the step", "err", err)
		}
	}
	if err := a.groups.KillLeftovers(); err != nil {
		a.log.Warn("children of an earlier agent may still run", "err", err)
	}
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

func (a *Agent) policy() policy.Policy { return a.config.Load().StepPolicy() }
