// Package intaketest is for tests of what begins jobs by itself: schedules, alerts
// and the spool. Its device only accepts jobs, and may lose its power whenever it
// commits one.
package intaketest

import (
	"fmt"
	"log/slog"
	"os"
	"path/filepath"
	"runtime"
	"strings"
	"sync"
	"testing"
	"time"

	"github.com/ratchetd/ratchet/agent/clock"
	"github.com/ratchetd/ratchet/agent/config"
	"github.com/ratchetd/ratchet/agent/dialect"
	"github.com/ratchetd/ratchet/agent/facts"
	"github.com/ratchetd/ratchet/agent/intake"
	"github.com/ratchetd/ratchet/agent/link"
	"github.com/ratchetd/ratchet/agent/report"
	"github.com/ratchetd/ratchet/executor"
	"github.com/ratchetd/ratchet/executor/step"
	"github.com/ratchetd/ratchet/store"
)

// Job is what lies beside the configuration as job.json.
const Job = `{"id":"any","steps":[{"name":"a","command":{"argv":["true"]}}]}`

// A Diary is a device on which nothing runs but what a test makes of its parts. It
// notes when which job was accepted; each is over at once, unless the device is
// busy. Make it with New, in a bubble of synctest, and switch it On.
type Diary struct {
	T      *testing.T
	Dir    string        // of its configuration
	Boots  int           // how often the board has booted
	Insane bool          // its clock cannot be believed
	Died   chan struct{} // closed when the power went

	// Of the device that is on.
	Config  *config.Current
	Clock   *clock.Clock
	DB      *store.DB
	Journal store.Journal
	Intake  *intake.Intake
	Report  *report.Reporter
	Started time.Time
	Poked   func() // a recurring job came, or a job is to end; nil: nobody wants to know

	wall time.Time // what the clock showed when
	at   time.Time // this was

	mu      sync.Mutex
	busy    bool
	entries []string
	commits int
	cut     int // the power goes at that commit, 1 is the first; 0: never
}

// New makes a device with these settings, whose clock shows now, in RFC 3339. It
// is off.
func New(t *testing.T, settings, now string) *Diary {
	t.Helper()
	d := &Diary{T: t, Dir: t.TempDir(), Died: make(chan struct{})}
	d.Set(now)
	if err := os.Chmod(d.Dir, 0o755); err != nil { // whatever the umask: what others can write is refused
		t.Fatal(err)
	}
	d.Write("ratchet.toml", fmt.Sprintf("device = \"gw-1\"\nstate = %q\n%s\n[link]\nbroker = \"tcp://127.0.0.1:1\"\n", filepath.Join(d.Dir, "state"), settings))
	d.Write("job.json", Job)
	return d
}

// Write writes a file beside the configuration.
func (d *Diary) Write(name, text string) {
	d.T.Helper()
	if err := os.WriteFile(filepath.Join(d.Dir, name), []byte(text), 0o600); err != nil {
		d.T.Fatal(err)
	}
}

// Load reads the configuration as it lies there now, also where parts of it are left out.
func (d *Diary) Load() *config.Config {
	d.T.Helper()
	c, err := config.Load(filepath.Join(d.Dir, "ratchet.toml"))
	if c == nil {
		d.T.Fatal(err)
	}
	return c
}

// On switches the device on, with what its journal knows.
func (d *Diary) On() {
	d.T.Helper()
	log := slog.New(slog.DiscardHandler)
	d.Config, d.Clock, d.Intake, d.Report, d.Started = &config.Current{}, &clock.Clock{}, intake.New(), report.New(), time.Now()
	c := d.Load()
	d.Config.Store(c)
	if err := os.MkdirAll(c.State, 0o700); err != nil {
		d.T.Fatal(err)
	}
	var err error
	if d.DB, err = store.Open(c.State, store.Options{Log: log, Now: d.Clock.Now}); err != nil {
		d.T.Fatal(err)
	}
	d.Clock.Start(d.DB.Floor())
	d.Journal = diarist{d.DB, d}
	d.Report.Config, d.Report.Link, d.Report.DB, d.Report.Log = d.Config, link.New(), d.DB, log
	kinds := func() executor.Kinds { return executor.Kinds{"command": step.Command{}} }
	i := d.Intake
	i.Judge = intake.Judge{Config: d.Config, Clock: d.Clock, DB: d.DB, Started: d.Started, Env: func() map[string]any { return nil },
		Facts: &facts.Facts{Config: d.Config, Kinds: kinds, Log: log}}
	i.Journal, i.Desk, i.Report, i.Log = d.Journal, desk{d}, d.Report, log
	i.Raise, i.Clear = func(string, string, string) {}, func(string) {}
}

// Off switches the device off.
func (d *Diary) Off() { d.DB.Close() }

// Boot is the id of this boot.
func (d *Diary) Boot() string { return fmt.Sprint("boot ", d.Boots) }

// Now is what the device's clock shows, and whether it can be believed.
func (d *Diary) Now() (time.Time, bool) { return d.wall.Add(time.Since(d.at)).UTC(), !d.Insane }

// Set sets the clock, in RFC 3339; Jump moves it.
func (d *Diary) Set(now string) {
	d.T.Helper()
	wall, err := time.Parse(time.RFC3339, now)
	if err != nil {
		d.T.Fatal(err)
	}
	d.wall, d.at = wall, time.Now()
}

// Jump moves the clock.
func (d *Diary) Jump(by time.Duration) { d.wall = d.wall.Add(by) }

// Lived is how long it is since the clock was set.
func (d *Diary) Lived() time.Duration { return time.Since(d.at) }

// Submit gives the device a job as its operator does.
func (d *Diary) Submit(text string) {
	d.T.Helper()
	if _, _, err := d.Intake.Submit(d.T.Context(), []byte(text)); err != nil {
		d.T.Fatal(err)
	}
}

// State is how a job is, and why it waits or ended so.
func (d *Diary) State(id string) string {
	d.T.Helper()
	r, known, err := d.DB.Record(id)
	if err != nil || !known {
		d.T.Fatalf("job %s: got %v, %v, want it known", id, known, err)
	}
	s := dialect.NewStatus("gw-1", d.Report.Report(r))
	return strings.TrimSpace(fmt.Sprint(s.State, " ", s.Reason))
}

// Known reports whether the journal has a job.
func (d *Diary) Known(id string) bool {
	d.T.Helper()
	_, known, err := d.DB.Record(id)
	if err != nil {
		d.T.Fatal(err)
	}
	return known
}

// Entries are the jobs that were accepted, in order, such as
// "s 20261124T030000Z 24T0300": the name, the time it was due at, and day and hour.
func (d *Diary) Entries() string {
	d.mu.Lock()
	defer d.mu.Unlock()
	return strings.Join(d.entries, ", ")
}

// Forget drops the entries.
func (d *Diary) Forget() {
	d.mu.Lock()
	defer d.mu.Unlock()
	d.entries = nil
}

// Busy has jobs that are accepted from now on go on, until Settle ends them.
func (d *Diary) Busy(busy bool) {
	d.mu.Lock()
	defer d.mu.Unlock()
	d.busy = busy
}

// Settle ends what is under way.
func (d *Diary) Settle() {
	d.T.Helper()
	records, err := d.DB.Unfinished()
	if err != nil {
		d.T.Fatal(err)
	}
	for _, r := range records {
		if intake.Recurs(r) {
			continue
		}
		r.State, r.Rev = executor.Succeeded, r.Rev+1
		if err := d.DB.Put(r); err != nil {
			d.T.Fatal(err)
		}
	}
}

// CutAt lets the power go at the commit of that number, from now on: whoever
// commits ends there. 0 is never.
func (d *Diary) CutAt(n int) {
	d.mu.Lock()
	defer d.mu.Unlock()
	d.commits, d.cut = 0, n
}

// commit is a moment at which the power may go.
func (d *Diary) commit() {
	d.mu.Lock()
	d.commits++
	now := d.commits == d.cut
	d.mu.Unlock()
	if now {
		close(d.Died)
		runtime.Goexit()
	}
}

// note writes the entry of a job that was accepted now.
func (d *Diary) note(r executor.Record) {
	now, _ := d.Now()
	d.mu.Lock()
	defer d.mu.Unlock()
	d.entries = append(d.entries, strings.Replace(r.ID, "@", " ", 1)+" "+now.Format("02T1504"))
}

func (d *Diary) isBusy() bool {
	d.mu.Lock()
	defer d.mu.Unlock()
	return d.busy
}
