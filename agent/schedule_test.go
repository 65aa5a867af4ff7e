package agent

import (
	"context"
	"fmt"
	"log/slog"
	"path/filepath"
	"runtime"
	"strings"
	"sync"
	"testing"
	"testing/synctest"
	"time"

	"github.com/ratchetd/ratchet/agent/config"
	"github.com/ratchetd/ratchet/agent/intake"
	"github.com/ratchetd/ratchet/agent/report"
	"github.com/ratchetd/ratchet/executor"
	"github.com/ratchetd/ratchet/store"
)

// A diary is a device on which nothing runs but its schedules. It notes when
// which job was accepted; each is over at once, unless the device is busy.
type diary struct {
	t      *testing.T
	dir    string
	boots  int
	agent  *Agent
	end    func()
	wall   time.Time // what the clock showed when
	at     time.Time // this was
	insane bool

	mu      sync.Mutex
	busy    bool
	entries []string
	commits int
	cut     int // the power goes at that commit, 1 is the first; 0: never
	died    chan struct{}
	notices []report.Notice // of alerts
}

// commit is a moment at which the power may go.
func (d *diary) commit() {
	d.mu.Lock()
	d.commits++
	now := d.commits == d.cut
	d.mu.Unlock()
	if now {
		close(d.died)
		runtime.Goexit()
	}
}

// cutAt lets the power go at the commit of that number, from now on.
func (d *diary) cutAt(n int) {
	d.mu.Lock()
	defer d.mu.Unlock()
	d.commits, d.cut = 0, n
}

type diarist struct {
	Journal
	d *diary
}

func (j diarist) Accept(r executor.Record) (store.Verdict, error) {
	j.d.commit()
	v, err := j.Journal.Accept(r)
	if v != store.Accepted || err != nil {
		return v, err
	}
	j.d.note(r)
	j.d.commit()
	if j.d.isBusy() || intake.Recurs(r) {
		return v, err
	}
	r.State, r.Rev = executor.Succeeded, 2
	return v, j.Journal.Put(r)
}

// Put is that of a recurring job's end.
func (j diarist) Put(r executor.Record) error {
	j.d.commit()
	err := j.Journal.Put(r)
	j.d.commit()
	return err
}

func (d *diary) note(r executor.Record) {
	if intake.Recurs(r) {
		return
	}
	now, _ := d.now()
	d.mu.Lock()
	defer d.mu.Unlock()
	d.entries = append(d.entries, strings.Replace(r.ID, "@", " ", 1)+" "+now.Format("02T1504"))
}

func (d *diary) isBusy() bool {
	d.mu.Lock()
	defer d.mu.Unlock()
	return d.busy
}

// now is the clock of the schedules.
func (d *diary) now() (time.Time, bool) {
	return d.wall.Add(time.Since(d.at)).UTC(), !d.insane
}

// say notes what alerts have to say, in place of the report.
func (d *diary) say(n report.Notice) { d.notices = append(d.notices, n) }

func (d *diary) on() {
	d.t.Helper()
	path := filepath.Join(d.dir, "ratchet.toml")
	c, err := config.Load(path)
	if err != nil {
		d.t.Fatal(err)
	}
	if d.agent, err = New(c, slog.New(slog.DiscardHandler)); err != nil {
		d.t.Fatal(err)
	}
	d.agent.boot = fmt.Sprint("boot ", d.boots)
	d.agent.schedules.Boot, d.agent.schedules.Now, d.agent.alerts.Say = d.agent.boot, d.now, d.say
	d.agent.Wrap(func(j Journal) Journal { return diarist{j, d} })
	if err := d.agent.open(); err != nil {
		d.t.Fatal(err)
	}
	ctx, cancel := context.WithCancel(context.Background())
	done := make(chan struct{})
	go func() {
		defer close(done) // also when the power goes
		_ = d.agent.schedules.Run(ctx)
	}()
	d.end = func() {
		cancel()
		<-done
		d.agent.db.Close()
	}
	synctest.Wait()
}

// live follows a script: WORD ARGUMENT, separated by commas.
func (d *diary) live(script string) {
	d.t.Helper()
	for _, act := range strings.Split(script, ", ") {
		word, arg, _ := strings.Cut(act, " ")
		span, _ := time.ParseDuration(strings.TrimPrefix(arg, "+"))
		switch word {
		case "run":
			time.Sleep(span)
		case "off", "reboot": // power that is gone, or comes back at once
			d.end()
			time.Sleep(span)
			if d.boots++; word == "off" && arg == "restart" {
				d.boots--
			}
			d.on()
		case "jump":
			d.wall = d.wall.Add(span)
		case "set":
			d.wall, d.at = instant(d.t, arg), time.Now()
		case "insane", "sane":
			d.insane = word == "insane"
		case "busy", "free":
			d.mu.Lock()
			d.busy = word == "busy"
			d.mu.Unlock()
			if word == "free" {
				d.settle()
			}
		case "forget":
			d.mu.Lock()
			d.entries = nil
			d.mu.Unlock()
		case "cancel":
			if err := d.agent.journal.Cancel(arg, time.Time{}); err != nil {
				d.t.Fatal(err)
			}
		default:
			d.t.Fatalf("the script has %q", act)
		}
		d.agent.schedules.Poke()
		synctest.Wait()
	}
}

// settle ends what is under way.
func (d *diary) settle() {
	records, err := d.agent.db.Unfinished()
	if err != nil {
		d.t.Fatal(err)
	}
	for _, r := range records {
		if intake.Recurs(r) {
			continue
		}
		r.State, r.Rev = executor.Succeeded, r.Rev+1
		if err := d.agent.db.Put(r); err != nil {
			d.t.Fatal(err)
		}
	}
}

func newDiary(t *testing.T, settings, clock string) *diary {
	d := &diary{t: t, dir: t.TempDir(), at: time.Now(), wall: instant(t, clock), died: make(chan struct{})}
	dev := &device{t: t, dir: d.dir}
	dev.write("ratchet.toml", fmt.Sprintf("device = \"gw-1\"\nstate = %q\n%s\n[link]\nbroker = \"tcp://127.0.0.1:1\"\n", filepath.Join(d.dir, "state"), settings))
	dev.write("job.json", `{"id":"any","steps":[{"name":"a","command":{"argv":["true"]}}]}`)
	return d
}

func (d *diary) read() string {
	d.mu.Lock()
	defer d.mu.Unlock()
	return strings.Join(d.entries, ", ")
}

func TestSchedules(t *testing.T) {
	if _, err := time.LoadLocation("Europe/Berlin"); err != nil {
		t.Skip("no zone files here")
	}
	for _, c := range []struct{ name, schedule, clock, script, want string }{
		{"daily", `cron = "0 3 * * *"`, "2026-11-23T22:00:00Z", "run 72h",
			"s 20261124T030000Z 24T0300, s 20261125T030000Z 25T0300, s 20261126T030000Z 26T0300"},
		{"summer begins in Berlin", `cron = "30 2 * * *"
tz = "Europe/Berlin"`, "2026-03-27T22:00:00Z", "run 72h",
			"s 20260328T013000Z 28T0130, s 20260329T010000Z 29T0100, s 20260330T003000Z 30T0030"},
		{"summer ends in New York", `cron = "30 1 * * *"
tz = "America/New_York"`, "2026-10-31T22:00:00Z", "run 48h",
			"s 20261101T053000Z 01T0530, s 20261102T063000Z 02T0630"},
		{"leap day", `cron = "0 0 29 2 *"`, "2027-12-31T00:00:00Z", "run 1500h", "s 20280229T000000Z 29T0000"},
		{"jitter is the same every time", "cron = \"0 3 * * *\"\njitter = \"1h\"", "2026-11-23T22:00:00Z", "run 48h",
			"s 20261124T030000Z 24T0306, s 20261125T030000Z 25T0306"},
		{"off for an hour: what was missed is not done", `cron = "0 3 * * *"`, "2026-11-24T02:30:00Z", "off 1h, run 24h",
			"s 20261125T030000Z 25T0300"},
		{"off for days: what was missed is done once", "cron = \"0 3 * * *\"\ncatchUp = true", "2026-11-24T02:30:00Z", "off 60h, run 20h",
			"s 20261126T030000Z 26T1430, s 20261127T030000Z 27T0300"},
		{"off for a minute: it is on time", `cron = "0 3 * * *"`, "2026-11-24T02:59:30Z", "off 1m, run 1h", "s 20261124T030000Z 24T0300"},
		{"a board that reboots all the time still gets there", `cron = "@every 20m"`, "2026-11-24T00:01:00Z",
			"off 2m, run 6m, off 2m, run 6m, off 2m, run 6m, off 2m, run 6m, off 2m, run 6m",
			"s 20261124T002000Z 24T0020, s 20261124T004000Z 24T0040"},
		{"once a boot, whatever the clock says", `cron = "@reboot"`, "1970-01-01T00:00:05Z", "run 1h, off restart, run 1h, reboot 1m, run 1h",
			"s 19700101T000005Z 01T0000, s 19700101T020105Z 01T0201"},
		{"once a boot, though the clock stands still", `cron = "@reboot"`, "1970-01-01T00:00:05Z", "set 1970-01-01T00:00:05Z, reboot 0s",
			"s 19700101T000005Z 01T0000, s 19700101T000006Z 01T0000"},
		{"from 1970 to now: nothing before the clock is set", "cron = \"0 3 * * *\"\ncatchUp = true", "1970-01-01T00:00:20Z",
			"insane, run 30h, set 2026-11-24T02:59:00Z, sane, run 1h", "s 20261124T030000Z 24T0300"},
		{"from 1970 to now, after days off", "cron = \"0 3 * * *\"\ncatchUp = true", "2026-11-20T12:00:00Z",
			"insane, off 1m, set 1970-01-01T00:00:20Z, run 30h, set 2026-11-24T09:00:00Z, sane, run 1h", "s 20261124T030000Z 24T0900"},
		{"the clock jumps over it", "cron = \"0 3 * * *\"\ncatchUp = true", "2026-11-24T02:00:00Z", "jump +2h, run 1m", "s 20261124T030000Z 24T0400"},
		{"the clock goes back a little: not twice", `cron = "0 3 * * *"`, "2026-11-24T02:59:00Z", "run 10m, jump -1h, run 90m",
			"s 20261124T030000Z 24T0300"},
		{"the clock was in the future", `cron = "0 3 * * *"`, "2040-01-01T02:00:00Z", "run 2h, set 2026-11-24T02:00:00Z, run 2h",
			"s 20400101T030000Z 01T0300, s 20261124T030000Z 24T0300"},
		{"one at a time", `cron = "0 * * * *"`, "2026-11-24T00:30:00Z", "busy, run 3h, free, run 1h",
			"s 20261124T010000Z 24T0100, s 20261124T040000Z 24T0400"},
		{"one behind the other", "cron = \"0 * * * *\"\noverlap = \"queue\"", "2026-11-24T00:30:00Z", "busy, run 4h, free, run 1h",
			"s 20261124T010000Z 24T0100, s 20261124T050000Z 24T0500"},
	} {
		t.Run(c.name, func(t *testing.T) {
			synctest.Test(t, func(t *testing.T) {
				d := newDiary(t, "[[schedule]]\nname = \"s\"\njob = \"job.json\"\n"+c.schedule, c.clock)
				d.insane = strings.HasPrefix(c.script, "insane") && strings.HasPrefix(c.clock, "1970")
				d.on()
				defer func() { d.end() }()
				d.live(c.script)
				if got := d.read(); got != c.want {
					t.Errorf("got  %s\nwant %s", got, c.want)
				}
			})
		})
	}
}

// A firing costs what any job does: that it was begun is in the commit that
// accepts it, and what is skipped costs none.
func TestAFiringCostsNoCommitOfItsOwn(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		d := newDiary(t, "[[schedule]]\nname = \"s\"\njob = \"job.json\"\ncron = \"@hourly\"", "2026-11-23T22:30:00Z")
		d.on()
		defer func() { d.end() }()
		before := d.agent.db.Commits()
		d.live("run 5h")
		if got, want := d.agent.db.Commits()-before, uint64(2*5); got != want { // its acceptance and its end
			t.Errorf("got %d commits for five jobs, want %d", got, want)
		}
		d.live("busy, run 1h")
		before = d.agent.db.Commits()
		d.live("run 24h")
		if got := d.agent.db.Commits() - before; got != 0 {
			t.Errorf("got %d commits for what was skipped, want none", got)
		}
	})
}

// A month of a daily, an hourly and a weekly schedule on a board that loses its
// power again and again: each due time at which it is on has its one job.
func TestAMonthOfSchedules(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		config := ""
		for name, cron := range map[string]string{"hourly": "5 * * * *", "daily": "30 2 * * *", "weekly": "@weekly"} {
			config += fmt.Sprintf("[[schedule]]\nname = %q\njob = \"job.json\"\ncron = %q\ncatchUp = true\ntz = \"CET-1CEST,M3.5.0,M10.5.0/3\"\n", name, cron)
		}
		d := newDiary(t, config, "2026-10-10T00:00:00Z")
		d.on()
		defer func() { d.end() }()
		for i := range 60 {
			d.live(fmt.Sprintf("run %dm, off %dm", 600+i*7%240, i%5))
		}
		seen, count := map[string]bool{}, map[string]int{}
		for _, e := range strings.Split(d.read(), ", ") {
			f := strings.Fields(e)
			if seen[f[0]+f[1]] {
				t.Errorf("%s was begun twice", e)
			}
			seen[f[0]+f[1]] = true
			count[f[0]]++
		}
		days := time.Since(d.at).Hours() / 24
		if got, want := count["hourly"], int(days*24); got < want-1 || got > want+1 {
			t.Errorf("hourly: got %d, want %d", got, want)
		}
		if got, want := count["daily"], int(days); got < want || got > want+1 {
			t.Errorf("daily: got %d, want %d", got, want)
		}
		if got := count["weekly"]; got < 4 || got > 5 {
			t.Errorf("weekly: got %d, want 4 or 5", got)
		}
	})
}
