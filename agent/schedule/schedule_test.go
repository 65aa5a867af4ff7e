package schedule_test

import (
	"context"
	"fmt"
	"log/slog"
	"os"
	"path/filepath"
	"regexp"
	"strings"
	"testing"
	"testing/synctest"
	"time"

	"github.com/ratchetd/ratchet/agent/intake/intaketest"
	"github.com/ratchetd/ratchet/agent/schedule"
)

// A diary is a device of which nothing runs but its schedules.
type diary struct {
	*intaketest.Diary
	schedules *schedule.Schedules
	spool     schedule.Spool
	off       func()
}

// newDiary is one that is off, with these settings; its clock shows that.
func newDiary(t *testing.T, settings, clock string) *diary {
	t.Helper()
	return &diary{Diary: intaketest.New(t, settings, clock)}
}

// on switches it on, until off.
func (d *diary) on() {
	d.T.Helper()
	d.On()
	s := schedule.New()
	s.Config, s.Clock, s.Now, s.DB, s.Journal, s.Intake, s.Report = d.Config, d.Clock, d.Now, d.DB, d.Journal, d.Intake, d.Report
	s.Boot, s.Started, s.Log = d.Boot(), d.Started, slog.New(slog.DiscardHandler)
	d.schedules, d.Poked = s, s.Poke
	d.spool = schedule.Spool{Config: d.Config, Intake: d.Intake, Log: s.Log}
	ctx, cancel := context.WithCancel(context.Background())
	done := make(chan struct{})
	go func() {
		defer close(done) // also when the power goes
		_ = s.Run(ctx)
	}()
	d.off = func() {
		cancel()
		<-done
		d.Off()
	}
	synctest.Wait()
}

// live follows a script: WORD ARGUMENT, separated by commas.
func (d *diary) live(script string) {
	d.T.Helper()
	for _, act := range strings.Split(script, ", ") {
		word, arg, _ := strings.Cut(act, " ")
		span, _ := time.ParseDuration(strings.TrimPrefix(arg, "+")) // some have another argument, or none
		switch word {
		case "run":
			time.Sleep(span)
		case "off", "reboot": // power that is gone, or comes back at once
			d.off()
			time.Sleep(span)
			if arg != "restart" {
				d.Boots++
			}
			d.on()
		case "jump":
			d.Jump(span)
		case "set":
			d.Set(arg)
		case "insane", "sane":
			d.Insane = word == "insane"
		case "busy", "free":
			if d.Busy(word == "busy"); word == "free" {
				d.Settle()
			}
		case "cron", "tz": // what the owner changes in ratchet.toml, and a reload
			d.change(word, arg)
		case "forget":
			d.Forget()
		default:
			d.T.Fatalf("the script has %q", act)
		}
		d.schedules.Poke()
		synctest.Wait()
	}
}

// change gives a line of the configuration another value.
func (d *diary) change(key, value string) {
	d.T.Helper()
	path := filepath.Join(d.Dir, "ratchet.toml")
	text, err := os.ReadFile(path)
	if err != nil {
		d.T.Fatal(err)
	}
	line := regexp.MustCompile("(?m)^" + key + " = .*$")
	if !line.Match(text) {
		d.T.Fatalf("the configuration has no %s", key)
	}
	d.Write("ratchet.toml", line.ReplaceAllString(string(text), fmt.Sprintf("%s = %q", key, value)))
	d.Config.Store(d.Load())
}

// submit gives the device a job as its operator does.
func (d *diary) submit(text string) {
	d.T.Helper()
	d.Submit(text)
	synctest.Wait()
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
		{"changed: nothing for a time before", "cron = \"0 3 * * *\"\ncatchUp = true", "2026-11-23T22:00:00Z",
			"run 10h, cron 0 7 * * *, run 24h", "s 20261124T030000Z 24T0300, s 20261125T070000Z 25T0700"},
		{"changed by minutes: nothing for a time before", `cron = "0 3 * * *"`, "2026-11-23T22:00:00Z",
			"run 302m, cron 1 3 * * *, run 24h", "s 20261124T030000Z 24T0300, s 20261125T030100Z 25T0301"},
		{"changed while off", "cron = \"0 3 * * *\"\ncatchUp = true", "2026-11-23T22:00:00Z",
			"run 10h, cron 0 7 * * *, reboot 1m, run 24h", "s 20261124T030000Z 24T0300, s 20261125T070000Z 25T0700"},
		{"another zone: nothing for a time before", "cron = \"0 7 * * *\"\ncatchUp = true\ntz = \"UTC\"", "2026-11-23T22:00:00Z",
			"run 390m, tz Europe/Moscow, run 24h", "s 20261125T040000Z 25T0400"},
		{"the same zone by another name is no change", "cron = \"0 3 * * *\"\ncatchUp = true\ntz = \"UTC\"", "2026-11-24T02:30:00Z",
			"off 1h, tz Etc/GMT, run 1m", "s 20261124T030000Z 24T0330"},
		{"from a time to each boot", `cron = "0 3 * * *"`, "2026-11-24T02:30:00Z", "run 1h, cron @reboot, run 1h, off 1m, run 1h",
			"s 20261124T030000Z 24T0300, s 20261124T043100Z 24T0431"},
		{"from each boot to a time", "cron = \"@reboot\"\ncatchUp = true", "2026-11-24T02:30:00Z", "run 1h, cron 0 3 * * *, run 24h",
			"s 20261124T023000Z 24T0230, s 20261125T030000Z 25T0300"},
		{"the clock was two hours ahead: what names no hour goes on", `cron = "*/30 * * * *"`, "2026-11-24T04:10:00Z",
			"run 30m, jump -2h, run 70m", "s 20261124T043000Z 24T0430, s 20261124T030000Z 24T0300, s 20261124T033000Z 24T0330"},
		{"the clock was two hours ahead: neither does a span wait", `cron = "@every 30m"`, "2026-11-24T04:10:00Z",
			"run 30m, jump -2h, run 70m", "s 20261124T043000Z 24T0430, s 20261124T030000Z 24T0300, s 20261124T033000Z 24T0330"},
		{"the clock was two hours ahead: what was due by it is due again", `cron = "*/30 * * * *"`, "2026-11-24T04:10:00Z",
			"run 30m, jump -2h, run 140m", "s 20261124T043000Z 24T0430, s 20261124T030000Z 24T0300, s 20261124T033000Z 24T0330, s 20261124T040000Z 24T0400, " +
				"s 20261124T043001Z 24T0430, s 20261124T050000Z 24T0500"},
		{"the clock goes back by a moment: not twice", `cron = "@every 30m"`, "2026-11-24T04:20:00Z",
			"run 10m, jump -700ms, run 31m", "s 20261124T043000Z 24T0430, s 20261124T050000Z 24T0500"},
		{"left out for a while: once a boot all the same", `cron = "@reboot"`, "2026-11-24T02:30:00Z",
			"run 1h, cron nonsense, run 1h, cron @reboot, run 1h, off 1m, run 1h", "s 20261124T023000Z 24T0230, s 20261124T053100Z 24T0531"},
		{"left out for a while: what was missed is done once", "cron = \"0 3 * * *\"\ncatchUp = true", "2026-11-23T22:00:00Z",
			"run 4h, cron nonsense, run 2h, reboot 1m, run 2h, cron 0 3 * * *, run 24h", "s 20261124T030000Z 24T0601, s 20261125T030000Z 25T0300"},
		{"one at a time", `cron = "0 * * * *"`, "2026-11-24T00:30:00Z", "busy, run 3h, free, run 1h",
			"s 20261124T010000Z 24T0100, s 20261124T040000Z 24T0400"},
		{"one behind the other", "cron = \"0 * * * *\"\noverlap = \"queue\"", "2026-11-24T00:30:00Z", "busy, run 4h, free, run 1h",
			"s 20261124T010000Z 24T0100, s 20261124T050000Z 24T0500"},
	} {
		t.Run(c.name, func(t *testing.T) {
			synctest.Test(t, func(t *testing.T) {
				d := newDiary(t, "[[schedule]]\nname = \"s\"\njob = \"job.json\"\n"+c.schedule, c.clock)
				d.Insane = strings.HasPrefix(c.script, "insane") && strings.HasPrefix(c.clock, "1970")
				d.on()
				defer func() { d.off() }()
				d.live(c.script)
				if got := d.Entries(); got != c.want {
					t.Errorf("got  %s\nwant %s", got, c.want)
				}
			})
		})
	}
}

// TestAScheduleFollowsTheBoardsZone: one that sleeps until tomorrow, too.
func TestAScheduleFollowsTheBoardsZone(t *testing.T) {
	berlin, err := time.LoadLocation("Europe/Berlin")
	if err != nil {
		t.Skip("no zone files here")
	}
	t.Setenv("TZ", "UTC") // so the zone is what Go has for the process
	defer func(was *time.Location) { time.Local = was }(time.Local)
	time.Local = time.UTC
	synctest.Test(t, func(t *testing.T) {
		d := newDiary(t, "[[schedule]]\nname = \"s\"\njob = \"job.json\"\ncron = \"0 3 * * *\"", "2026-11-23T22:00:00Z")
		d.on()
		defer func() { d.off() }()
		d.schedules.Heed()
		synctest.Wait()
		time.Local = berlin
		d.schedules.Heed()
		time.Sleep(24 * time.Hour)
		synctest.Wait()
		if got, want := d.Entries(), "s 20261124T020000Z 24T0200"; got != want {
			t.Errorf("got %s, want %s", got, want)
		}
	})
}

// A firing costs what any job does: that it was begun is in the commit that
// accepts it, and what is skipped costs none.
func TestAFiringCostsNoCommitOfItsOwn(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		d := newDiary(t, "[[schedule]]\nname = \"s\"\njob = \"job.json\"\ncron = \"@hourly\"", "2026-11-23T22:30:00Z")
		d.on()
		defer func() { d.off() }()
		before := d.DB.Commits()
		d.live("run 5h")
		if got, want := d.DB.Commits()-before, uint64(2*5); got != want { // its acceptance and its end
			t.Errorf("got %d commits for five jobs, want %d", got, want)
		}
		d.live("busy, run 1h")
		before = d.DB.Commits()
		d.live("run 24h")
		if got := d.DB.Commits() - before; got != 0 {
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
		defer func() { d.off() }()
		for i := range 60 {
			d.live(fmt.Sprintf("run %dm, off %dm", 600+i*7%240, i%5))
		}
		seen, count := map[string]bool{}, map[string]int{}
		for _, e := range strings.Split(d.Entries(), ", ") {
			f := strings.Fields(e)
			if seen[f[0]+f[1]] {
				t.Errorf("%s was begun twice", e)
			}
			seen[f[0]+f[1]] = true
			count[f[0]]++
		}
		days := d.Lived().Hours() / 24
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
