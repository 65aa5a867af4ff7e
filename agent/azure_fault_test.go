package agent

import (
	"encoding/json"
	"fmt"
	"path/filepath"
	"strings"
	"sync/atomic"
	"testing"
	"time"

	mqtt "github.com/eclipse/paho.mqtt.golang"

	"github.com/ratchetd/ratchet/agent/config"
	"github.com/ratchetd/ratchet/executor"
	"github.com/ratchetd/ratchet/scripts/fakehub/hub"
)

// TestAConnectionMayBeCutAtEveryMessage cuts it at the nth message that the
// device sends: what that asked for is done, and neither answer nor PUBACK comes.
func TestAConnectionMayBeCutAtEveryMessage(t *testing.T) {
	t.Parallel()
	for n := int32(1); n <= 6; n++ {
		t.Run(fmt.Sprint(n), func(t *testing.T) {
			c := newCloud(t, &hub.Hub{})
			var sent atomic.Int32
			c.SetFate(func(topic string) hub.Fate {
				if strings.Contains(topic, "POST") || strings.Contains(topic, "desired") {
					return hub.Fate{} // these are the hub's
				}
				return hub.Fate{Cut: sent.Add(1) == n}
			})
			d := c.device("", "")
			file := filepath.Join(d.dir, "ran")
			c.desireDoc("j", doc("j", file, "a", "b", "c"))
			d.start()
			c.await("j", executor.Succeeded)
			if sent.Load() < n {
				t.Errorf("the device sent only %d messages", sent.Load())
			}
			if got := read(t, file); got != "a b c" {
				t.Errorf("ran %q, want a b c", got)
			}
		})
	}
}

func TestATokenIsTakenOnceTheClocksAgree(t *testing.T) {
	var ahead atomic.Int64
	c := newCloud(t, &hub.Hub{Now: func() time.Time { return time.Now().Add(time.Duration(ahead.Load())) }})
	ahead.Store(int64(24 * time.Hour))
	d := c.device("", "")
	file := filepath.Join(d.dir, "ran")
	c.desireDoc("j", doc("j", file, "a"))
	d.start()
	c.until("a refusal", func() bool { return strings.Contains(strings.Join(c.Drops(), " "), "token expired") })
	c.until("the clock to be named", func() bool {
		why := d.link.Reachable(t.Context())
		return why != nil && strings.Contains(why.Error(), "is this clock right")
	})
	ahead.Store(0)
	c.await("j", executor.Succeeded)
}

func TestATrialWithAHubDropsTheConnectionAndMakesAnother(t *testing.T) {
	c := newCloud(t, &hub.Hub{})
	d := c.device("", "").start()
	c.until("the connection", func() bool { return d.link.Settled() })
	before := c.Connects("gw-1")
	c.desireDoc("trial", map[string]any{"id": "trial", "steps": []any{map[string]any{"name": "x",
		"file": map[string]any{"path": filepath.Join(t.TempDir(), "new"), "content": "new\n"}, "confirm": map[string]any{"within": "2m"}}}})
	c.await("trial", executor.Succeeded)
	if n := c.Connects("gw-1") - before; n != 1 {
		t.Errorf("made %d connections, want one", n)
	}
}

func TestATwinThatIsFullGetsRoom(t *testing.T) {
	c := newCloud(t, &hub.Hub{})
	jobs := map[string]any{}
	for i := range 85 {
		jobs[fmt.Sprintf("%060d", i)] = map[string]any{"state": "failed", "rev": 9, "seq": i, "reason": strings.Repeat("r", 256)}
	}
	conf, err := config.Load(filepath.Join(c.device("", "").dir, "ratchet.toml"))
	if err != nil {
		t.Fatal(err)
	}
	as, err := conf.Login(time.Now())
	if err != nil {
		t.Fatal(err)
	}
	o := mqtt.NewClientOptions().AddBroker("tcp://" + c.Address()).SetClientID("gw-1").SetProtocolVersion(4).SetUsername(as.Username).SetPassword(as.Password)
	former := mqtt.NewClient(o)
	former.Connect().Wait()
	former.Publish("$iothub/twin/PATCH/properties/reported/?$rid=1", 1, false, text(t, map[string]any{"jobs": jobs})).Wait()
	former.Disconnect(0)
	if got, _ := c.Twin("gw-1").Reported["jobs"].(map[string]any); len(got) != len(jobs) {
		t.Fatalf("the twin has %d jobs: %q", len(got), c.Drops())
	}
	d := c.device("", "").start()
	file := filepath.Join(d.dir, "ran")
	c.desireDoc("j", doc("j", file, "a"))
	c.await("j", executor.Succeeded)
	reported, err := json.Marshal(c.Twin("gw-1").Reported)
	if err != nil || len(reported) > 24<<10 {
		t.Errorf("the reported properties have %d bytes, %v, want room", len(reported), err)
	}
}

func TestFactsThatAHubDidNotTakeAreToldAgain(t *testing.T) {
	c := newCloud(t, &hub.Hub{})
	var left atomic.Int32
	left.Store(3)
	c.SetFate(func(topic string) hub.Fate {
		if strings.HasSuffix(topic, "=facts") && left.Add(-1) >= 0 {
			return hub.Fate{Status: 429}
		}
		return hub.Fate{}
	})
	c.device("groups = [\"lab\"]", "").start()
	c.until("the facts", func() bool {
		n, err := c.Count("SELECT COUNT() AS n FROM devices WHERE properties.reported.facts.groups.lab = true")
		return err == nil && n == 1
	})
}
