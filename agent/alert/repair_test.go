package alert_test

import (
	"crypto/rand"
	"encoding/json"
	"fmt"
	"log/slog"
	"os"
	"path/filepath"
	"strconv"
	"strings"
	"testing"
	"testing/synctest"
	"time"

	"aead.dev/minisign"

	"github.com/ratchetd/ratchet/agent/alert"
	"github.com/ratchetd/ratchet/agent/dialect"
	"github.com/ratchetd/ratchet/agent/intake"
	"github.com/ratchetd/ratchet/agent/intake/intaketest"
	"github.com/ratchetd/ratchet/agent/report"
	"github.com/ratchetd/ratchet/agent/rule"
	"github.com/ratchetd/ratchet/telemetry"
)

const hot = "[[alert]]\nname = \"hot\"\nwhen = \".cpu.celsius > 80\"\nclear = \".cpu.celsius < 70\"\nvalue = \".cpu.celsius\"\nseverity = \"critical\"\nrun = \"job.json\"\n" +
	"[telemetry]\nbuiltin = []\n"

// A diary is a device of which nothing runs but its alerts.
type diary struct {
	*intaketest.Diary
	alerts  *alert.Alerts
	rules   alert.Rules
	notices []report.Notice
}

// newDiary is one that is off, with these settings; its clock shows that.
func newDiary(t *testing.T, settings, clock string) *diary {
	t.Helper()
	return &diary{Diary: intaketest.New(t, settings, clock)}
}

// on switches it on, with the alerts that its journal has.
func (d *diary) on() {
	d.T.Helper()
	d.On()
	say := func(n report.Notice) { d.notices = append(d.notices, n) }
	d.alerts = &alert.Alerts{Config: d.Config, Clock: d.Clock, DB: d.DB, Say: say, Log: slog.New(slog.DiscardHandler)}
	if err := d.alerts.Load(); err != nil {
		d.T.Fatal(err)
	}
	d.rules = alert.Rules{Alerts: d.alerts, Intake: d.Intake}
}

// feel gives the rules one sample, 30 s after the last one.
func (d *diary) feel(celsius float64) {
	time.Sleep(30 * time.Second)
	d.rules.Judge(d.T.Context(), telemetry.Sample{CPU: &telemetry.CPU{Celsius: &celsius}}, rule.LinkInput{})
	synctest.Wait()
}

// told is what of alerts waits to be told, in order, and drops it.
func (d *diary) told() string {
	var list []string
	for _, n := range d.notices {
		var a dialect.Alert
		if len(n.Messages) > 0 && json.Unmarshal(n.Messages[0].Payload, &a) == nil && a.State != "" {
			list = append(list, strings.TrimSpace(fmt.Sprint(a.Name, " ", a.State, " ", string(a.Value))))
		}
	}
	d.notices = nil
	return strings.Join(list, ", ")
}

// An alert is told once when it is raised and once when it is cleared, and begins
// one repair each time, whenever the agent is cut or started again.
func TestAnAlertAndItsRepair(t *testing.T) {
	for _, c := range []struct{ name, script, told, begun string }{
		{"raised and cleared", "60 85 85 75 60", "hot raised 85, hot cleared 85", "hot 20000101T000100Z"},
		{"started again while it is raised", "85 off 85 85 60", "hot raised 85, hot cleared 85", "hot 20000101T000030Z"},
		{"power lost before the repair is in the journal", "cut1 85 off 85 85", "hot raised 85", "hot 20000101T000030Z"},
		{"power lost behind it", "cut2 85 off 85 85", "hot raised 85", "hot 20000101T000030Z"},
		{"a repair a quarter of an hour", "85 60 85 60 85" + strings.Repeat(" 85", 40), "hot raised 85, hot cleared 85, hot raised 85, hot cleared 85, hot raised 85",
			"hot 20000101T000030Z, hot 20000101T000230Z"},
		{"also when started again", "85 60 85 off 85 85", "hot raised 85, hot cleared 85, hot raised 85", "hot 20000101T000030Z"},
		{"what is well again needs no repair", "85 60 85 60" + strings.Repeat(" 60", 60), "hot raised 85, hot cleared 85, hot raised 85, hot cleared 85", "hot 20000101T000030Z"},
	} {
		t.Run(c.name, func(t *testing.T) {
			synctest.Test(t, func(t *testing.T) {
				d := newDiary(t, hot, "2000-01-01T00:00:00Z")
				d.on()
				defer func() { d.Off() }()
				var told []string
				for _, word := range strings.Fields(c.script) {
					switch {
					case strings.HasPrefix(word, "cut"):
						d.CutAt(int(word[3] - '0'))
					case word == "off":
						told = append(told, d.told())
						d.Off()
						d.on()
					default:
						celsius, err := strconv.ParseFloat(word, 64)
						if err != nil {
							t.Fatal(err)
						}
						done := make(chan struct{})
						go func() {
							defer close(done) // also when the power goes
							d.feel(celsius)
						}()
						<-done
					}
				}
				told = append(told, d.told())
				if got := strings.Trim(strings.Join(told, ", "), ", "); got != c.told {
					t.Errorf("told: got %s, want %s", got, c.told)
				}
				var begun []string
				for e := range strings.SplitSeq(d.Entries(), ", ") {
					begun = append(begun, strings.Join(strings.Fields(e)[:2], " "))
				}
				if got := strings.Join(begun, ", "); got != c.begun {
					t.Errorf("begun: got %s, want %s", got, c.begun)
				}
			})
		})
	}
}

// A repair that cannot begin now begins when it can: its file comes late, or the
// disk that it is to clear has room again.
func TestARepairThatCannotBeginIsTriedAgain(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		d := newDiary(t, hot, "2000-01-01T00:00:00Z")
		d.on()
		defer func() { d.Off() }()
		job := filepath.Join(d.Dir, "job.json")
		if err := os.Rename(job, job+".later"); err != nil {
			t.Fatal(err)
		}
		d.feel(85)
		d.feel(85)
		if err := os.Rename(job+".later", job); err != nil {
			t.Fatal(err)
		}
		for range 4 {
			d.feel(85)
		}
		if got, want := d.Entries(), "hot 20000101T000030Z 01T0001"; got != want {
			t.Errorf("got %q, want %q", got, want)
		}
	})
}

// A repair that began while the clock was years ahead keeps none from beginning
// now that it is right.
func TestARepairFromTheFutureHoldsNoneUp(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		d := newDiary(t, hot, "2000-01-01T00:00:00Z")
		d.on()
		defer func() { d.Off() }()
		text, err := os.ReadFile(filepath.Join(d.Dir, "job.json"))
		if err != nil {
			t.Fatal(err)
		}
		if err := d.Intake.Fire(intake.Firing{ID: "hot@20300101T000000Z", Text: text, Origin: intake.ByConfig}); err != nil {
			t.Fatal(err)
		}
		d.feel(85)
		if !d.Known("hot@20000101T000030Z") {
			t.Errorf("got no repair; begun: %s", d.Entries())
		}
	})
}

// The repair knows why it runs, and needs no signature: the device's own
// configuration names it.
func TestARepairGetsItsAlert(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		key, _, err := minisign.GenerateKey(rand.Reader)
		if err != nil {
			t.Fatal(err)
		}
		d := newDiary(t, hot+"[policy]\nkeys = [\""+key.String()+"\"]\n", "2000-01-01T00:00:00Z")
		d.on()
		defer func() { d.Off() }()
		d.feel(85)
		r, known, err := d.DB.Record("hot@20000101T000030Z")
		if err != nil || !known {
			t.Fatalf("got %v, %v, want the repair", known, err)
		}
		var a dialect.Alert
		if err := json.Unmarshal(r.Alert, &a); err != nil || a.Name != "hot" || string(a.Value) != "85" || a.Severity != "critical" {
			t.Errorf("got %s, %v", r.Alert, err)
		}
		if err := d.Intake.Trusted(r); err != nil {
			t.Error(err)
		}
		r.Origin = nil
		if d.Intake.Trusted(r) == nil {
			t.Error("the same job from elsewhere is trusted")
		}
	})
}

// An alert without a rule is over, and a rule that stays keeps what it knows.
func TestAlertsFollowTheConfiguration(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		const slow = "[[alert]]\nname = \"slow\"\nwhen = \".cpu.celsius > 80\"\nfor = \"1m\"\n"
		d := newDiary(t, hot+slow, "2000-01-01T00:00:00Z")
		d.on()
		defer func() { d.Off() }()
		d.feel(85)
		d.feel(85)
		text, err := os.ReadFile(filepath.Join(d.Dir, "ratchet.toml"))
		if err != nil {
			t.Fatal(err)
		}
		without := strings.Replace(string(text), hot, "[telemetry]\nbuiltin = []\n", 1)
		d.Write("ratchet.toml", without)
		d.Config.Store(d.Load())
		d.feel(85)
		if got, want := d.told(), "hot raised 85, hot cleared 85, slow raised"; got != want {
			t.Errorf("got %s, want %s", got, want)
		}
	})
}
