package agent

import (
	"encoding/json"
	"errors"
	"fmt"
	"os"
	"path/filepath"
	"strconv"
	"strings"
	"syscall"
	"testing"
	"testing/synctest"
	"time"

	"github.com/ratchetd/ratchet/agent/config"
	"github.com/ratchetd/ratchet/agent/dialect"
	"github.com/ratchetd/ratchet/agent/intake"
	"github.com/ratchetd/ratchet/agent/rule"
	"github.com/ratchetd/ratchet/telemetry"
)

const hot = "[[alert]]\nname = \"hot\"\nwhen = \".cpu.celsius > 80\"\nclear = \".cpu.celsius < 70\"\nvalue = \".cpu.celsius\"\nseverity = \"critical\"\nrun = \"job.json\"\n" +
	"[telemetry]\nbuiltin = []\n"

// feel gives the rules one sample, 30 s after the last one.
func (d *diary) feel(celsius float64) {
	time.Sleep(30 * time.Second)
	d.agent.rules.Judge(d.t.Context(), telemetry.Sample{CPU: &telemetry.CPU{Celsius: &celsius}}, rule.LinkInput{})
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
				defer func() { d.end() }()
				var told []string
				for _, word := range strings.Fields(c.script) {
					switch {
					case strings.HasPrefix(word, "cut"):
						d.cutAt(int(word[3] - '0'))
					case word == "off":
						told = append(told, d.told())
						d.end()
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
				for e := range strings.SplitSeq(d.read(), ", ") {
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
		defer func() { d.end() }()
		job := filepath.Join(d.dir, "job.json")
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
		if got, want := d.read(), "hot 20000101T000030Z 01T0001"; got != want {
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
		defer func() { d.end() }()
		text, err := os.ReadFile(filepath.Join(d.dir, "job.json"))
		if err != nil {
			t.Fatal(err)
		}
		if err := d.agent.intake.Fire(intake.Firing{ID: "hot@20300101T000000Z", Text: text, Origin: intake.ByConfig}); err != nil {
			t.Fatal(err)
		}
		d.feel(85)
		if _, known, err := d.agent.db.Record("hot@20000101T000030Z"); !known || err != nil {
			t.Errorf("got %v, %v, want the repair; begun: %s", known, err, d.read())
		}
	})
}

// What happened is over a day later, also on a device that is never away from its
// broker, and whatever the clock showed when it happened.
func TestWhatHappenedIsOverADayLater(t *testing.T) {
	for name, since := range map[string]string{"as told": "2000-01-01T00:00:00Z", "before the clock was set": "", "while it was years ahead": "2030-01-01T00:00:00Z"} {
		t.Run(name, func(t *testing.T) {
			synctest.Test(t, func(t *testing.T) {
				d := newDiary(t, "", "2000-01-01T00:00:00Z")
				d.on()
				defer func() { d.end() }()
				l := d.agent.alerts
				raised := `{"gave-up":{"name":"gave-up","severity":"warning","state":"raised","rule":"job j"`
				if since != "" {
					raised += `,"since":"` + since + `"`
				}
				if err := errors.Join(d.agent.db.Set("alerts", []byte(raised+"}}")), l.Load()); err != nil {
					t.Fatal(err)
				}
				l.Age()
				if len(l.List()) == 0 && !strings.Contains(name, "ahead") {
					t.Error("it is over at once")
				}
				time.Sleep(25 * time.Hour)
				l.Age()
				if left := l.List(); len(left) != 0 {
					t.Errorf("got %v, which is never over", left)
				}
			})
		})
	}
}

// A pipe is no job file, and nobody waits for its other end.
func TestAPipeIsNoJobFile(t *testing.T) {
	path := filepath.Join(t.TempDir(), "job.json")
	if err := syscall.Mkfifo(path, 0o600); err != nil {
		t.Fatal(err)
	}
	read := make(chan error, 1)
	go func() {
		_, err := config.ReadJobFile(path)
		read <- err
	}()
	select {
	case err := <-read:
		if err == nil {
			t.Error("it was read")
		}
	case <-time.After(patience):
		t.Fatal("it waits for the other end")
	}
}

// The repair knows why it runs, and needs no signature: the device's own
// configuration names it.
func TestARepairGetsItsAlert(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		d := newDiary(t, hot+"[policy]\nkeys = [\""+newSigner(t).key+"\"]\n", "2000-01-01T00:00:00Z")
		d.on()
		defer func() { d.end() }()
		d.feel(85)
		r, known, err := d.agent.db.Record("hot@20000101T000030Z")
		if err != nil || !known {
			t.Fatalf("got %v, %v, want the repair", known, err)
		}
		var a dialect.Alert
		if err := json.Unmarshal(r.Alert, &a); err != nil || a.Name != "hot" || string(a.Value) != "85" || a.Severity != "critical" {
			t.Errorf("got %s, %v", r.Alert, err)
		}
		if err := d.agent.intake.Trusted(r); err != nil {
			t.Error(err)
		}
		r.Origin = nil
		if d.agent.intake.Trusted(r) == nil {
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
		defer func() { d.end() }()
		d.feel(85)
		d.feel(85)
		text, err := os.ReadFile(filepath.Join(d.dir, "ratchet.toml"))
		if err != nil {
			t.Fatal(err)
		}
		without := strings.Replace(string(text), hot, "[telemetry]\nbuiltin = []\n", 1)
		if err := os.WriteFile(filepath.Join(d.dir, "ratchet.toml"), []byte(without), 0o600); err != nil {
			t.Fatal(err)
		}
		c, err := config.Load(filepath.Join(d.dir, "ratchet.toml"))
		if err != nil {
			t.Fatal(err)
		}
		d.agent.config.Store(c)
		d.feel(85)
		if got, want := d.told(), "hot raised 85, hot cleared 85, slow raised"; got != want {
			t.Errorf("got %s, want %s", got, want)
		}
	})
}
