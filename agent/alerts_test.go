package agent

import (
	"context"
	"path/filepath"
	"strings"
	"testing"
	"time"

	"github.com/shirou/gopsutil/v3/common"

	"github.com/ratchetd/ratchet/agent/config"
)

// raised reports whether a message of an alert says so.
func raised(p string) bool { return strings.Contains(p, `"raised"`) }

func TestAnAlertClearedOfflineIsTold(t *testing.T) {
	b := newBroker(t)
	d := newDevice(t, b, "").start().online(b)
	const topic = alertsTopic + "no-room"
	d.alerts.Raise("no-room", "warning", "full")
	b.await(topic, raised)
	b.shut.Store(true)
	b.drop("gw-1")
	await(t, "the end of the connection", func() bool { return !d.connected() })
	d.alerts.Clear("no-room")
	d.stop()
	if got := b.retained(topic); !raised(got) {
		t.Fatalf("the broker has heard of it too early: %s", got)
	}
	b.shut.Store(false)
	d.start()
	await(t, "the alert to go at the broker", func() bool { return b.retained(topic) == "" })
}

// A board of which a file of the kernel's is odd says what it can no longer tell, and
// goes on with the rest.
func TestACollectorThatFailsIsAnAlert(t *testing.T) {
	b := newBroker(t)
	d := newDevice(t, b, "").start().online(b)
	odd := context.WithValue(t.Context(), common.EnvKey, common.EnvMap{common.HostProcEnvKey: t.TempDir()})
	if got := d.health.Board.Sample(odd); got.Memory != nil || got.CPU != nil {
		t.Fatalf("got %+v of a board without /proc", got)
	}
	d.judgeCollectors()
	b.await(alertsTopic+"collector", func(p string) bool { return raised(p) && strings.Contains(p, "cpu: ") })
	if d.health.Last() == nil {
		t.Error("no sample of the board itself")
	}
}

// A device starts without a part of its configuration that it can do without, says so,
// and takes the part up when it is mended.
func TestAWrongPartOfTheConfigurationIsAnAlert(t *testing.T) {
	b := newBroker(t)
	d := newDevice(t, b, "")
	d.write("conf.d/bad.toml", "\x00\x00")
	c, err := config.Load(filepath.Join(d.dir, "ratchet.toml"))
	if c == nil || err == nil {
		t.Fatalf("got %v, %v", c, err)
	}
	d.startWith(c).online(b)
	b.await(alertsTopic+"configuration", func(p string) bool { return raised(p) && strings.Contains(p, "bad.toml:1: ") })
	d.write("conf.d/worse.toml", "nonsense = 1\n")
	d.reload()
	if d.config.Load() != c {
		t.Error("a change that is wrong was taken up")
	}
	d.remove("conf.d/worse.toml")
	d.write("conf.d/bad.toml", "[tags]\nsite = \"paris\"\n")
	d.reload()
	b.await("ratchet/v1/device/gw-1/facts", func(p string) bool { return strings.Contains(p, "paris") })
	await(t, "the alert to go", func() bool { return !d.alerted("configuration") })
}

// A device whose clock is not set cannot say since when an alert stands: it
// raises it all the same, and does not take it for one of long ago.
func TestAnAlertNeedsNoClock(t *testing.T) {
	b := newBroker(t)
	d := newDevice(t, b, "")
	connecting, goOn := make(chan bool, 99), make(chan bool)
	b.bend(&bend{subscribed: func() {
		connecting <- true
		<-goOn
	}})
	d.start()
	<-connecting
	d.clock.Start(time.Now().Add(24 * time.Hour)) // which no clock here has reached
	d.alerts.Raise("journal-broken", "critical", "set aside")
	close(goOn)
	b.await(alertsTopic+"journal-broken", raised)
	d.online(b)
	d.alerts.Age()
	d.alerts.Raise("no-room", "warning", "full") // told behind whatever is told of the other
	b.await(alertsTopic+"no-room", raised)
	if got := b.retained(alertsTopic + "journal-broken"); !raised(got) {
		t.Errorf("an alert of a device without a clock is over as soon as it was raised: %q", got)
	}
}
