package hub

import (
	"crypto/hmac"
	"crypto/sha256"
	"encoding/base64"
	"encoding/json"
	"fmt"
	"net/url"
	"strings"
	"testing"
	"time"

	mqtt "github.com/eclipse/paho.mqtt.golang"
)

const host = "fake.azure-devices.net"

// token is one for the device, made here by the rules and not by our client.
func token(id string, key []byte, until time.Time) string {
	resource := url.QueryEscape(host + "/devices/" + id)
	mac := hmac.New(sha256.New, key)
	fmt.Fprintf(mac, "%s\n%d", resource, until.Unix())
	sig := url.QueryEscape(base64.StdEncoding.EncodeToString(mac.Sum(nil)))
	return fmt.Sprintf("SharedAccessSignature sr=%s&sig=%s&se=%d", resource, sig, until.Unix())
}

func start(t *testing.T, h *Hub) *Hub {
	t.Helper()
	t.Parallel()
	h.Host = host
	if err := h.Start(); err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { h.Close() })
	h.AddDevice("gw-1", []byte("key"))
	return h
}

// A client is a device that notes what comes.
type client struct {
	mqtt.Client
	t    *testing.T
	came chan mqtt.Message
	lost chan error
}

func options(url, id, user, password string) *mqtt.ClientOptions {
	return mqtt.NewClientOptions().AddBroker(url).SetClientID(id).SetUsername(user).SetPassword(password).
		SetAutoReconnect(false).SetProtocolVersion(4).SetCleanSession(true)
}

func join(t *testing.T, h *Hub, o *mqtt.ClientOptions) (*client, error) {
	t.Helper()
	c := &client{t: t, came: make(chan mqtt.Message, 100), lost: make(chan error, 1)}
	o.SetDefaultPublishHandler(func(_ mqtt.Client, m mqtt.Message) { c.came <- m })
	o.SetConnectionLostHandler(func(_ mqtt.Client, err error) { c.lost <- err })
	c.Client = mqtt.NewClient(o)
	tok := c.Connect()
	tok.Wait()
	t.Cleanup(func() { c.Disconnect(0) })
	return c, tok.Error()
}

func device1(t *testing.T, h *Hub) *client {
	t.Helper()
	c, err := join(t, h, options("tcp://"+h.Address(), "gw-1", host+"/gw-1/?api-version=2021-04-12", token("gw-1", []byte("key"), time.Now().Add(time.Hour))))
	if err != nil {
		t.Fatal(err, h.Drops())
	}
	for _, f := range []string{filterMethods, filterAnswers, filterDesired} {
		c.Subscribe(f, 1, nil).Wait()
	}
	return c
}

func (c *client) say(topic, payload string) {
	c.Publish(topic, 1, false, payload).WaitTimeout(time.Second)
}

// next is what comes next.
func (c *client) next() (topic, payload string) {
	c.t.Helper()
	select {
	case m := <-c.came:
		return m.Topic(), string(m.Payload())
	case <-time.After(5 * time.Second):
		c.t.Fatal("nothing came")
		return "", ""
	}
}

func (c *client) mustLose() {
	c.t.Helper()
	select {
	case <-c.lost:
	case <-time.After(5 * time.Second):
		c.t.Fatal("the connection was not ended")
	}
}

func TestOnlyADeviceWithItsTokenIsLetIn(t *testing.T) {
	h := start(t, &Hub{})
	soon := time.Now().Add(time.Hour)
	good, user := token("gw-1", []byte("key"), soon), host+"/gw-1/?api-version=2021-04-12"
	for _, c := range []struct{ name, id, user, password, will, want string }{
		{"good", "gw-1", user, good, "", ""},
		{"with more parameters", "gw-1", user + "&DeviceClientType=x", good, "", ""},
		{"will on its events", "gw-1", user, good, "devices/gw-1/messages/events/", ""},
		{"another device", "gw-2", user, good, "", "no such device"},
		{"no api-version", "gw-1", host + "/gw-1", good, "", "user name"},
		{"another key", "gw-1", user, token("gw-1", []byte("no"), soon), "", "not the key's"},
		{"for another", "gw-1", user, token("gw-2", []byte("key"), soon), "", "token is for"},
		{"expired", "gw-1", user, token("gw-1", []byte("key"), time.Now().Add(-time.Second)), "", "expired"},
		{"no token", "gw-1", user, "secret", "", "no token"},
		{"will elsewhere", "gw-1", user, good, "state", "will"},
	} {
		o := options("tcp://"+h.Address(), c.id, c.user, c.password)
		if c.will != "" {
			o.SetWill(c.will, "x", 1, false)
		}
		_, err := join(t, h, o)
		if c.want == "" {
			if err != nil {
				t.Errorf("%s: %v, want in", c.name, err)
			}
			continue
		}
		drops := h.Drops()
		if err == nil || !strings.Contains(drops[len(drops)-1], c.want) {
			t.Errorf("%s: %v and %q, want refused: %s", c.name, err, drops[len(drops)-1], c.want)
		}
	}
}

func TestATokenThatExpiresEndsTheConnection(t *testing.T) {
	h := start(t, &Hub{})
	c, err := join(t, h, options("tcp://"+h.Address(), "gw-1", host+"/gw-1/?api-version=2021-04-12", token("gw-1", []byte("key"), time.Now().Add(2*time.Second))))
	if err != nil {
		t.Fatal(err)
	}
	c.mustLose()
}

func TestWhatIsNotDocumentedEndsTheConnection(t *testing.T) {
	for name, do := range map[string]func(*client){
		"another topic":         func(c *client) { c.say("ratchet/v1/x", "{}") },
		"another filter":        func(c *client) { c.Subscribe("ratchet/#", 1, nil).WaitTimeout(time.Second) },
		"another's events":      func(c *client) { c.say("devices/gw-2/messages/events/", "{}") },
		"QoS 2":                 func(c *client) { c.Publish("devices/gw-1/messages/events/", 2, false, "{}").WaitTimeout(time.Second) },
		"a message too large":   func(c *client) { c.say("devices/gw-1/messages/events/", strings.Repeat("x", maxD2C+1)) },
		"an answer, no JSON":    func(c *client) { c.say("$iothub/methods/res/200/?$rid=1", "no") },
		"a method answered bad": func(c *client) { c.say("$iothub/methods/res/fine/?$rid=1", "{}") },
	} {
		t.Run(name, func(t *testing.T) {
			c := device1(t, start(t, &Hub{}))
			do(c)
			c.mustLose()
		})
	}
}

func TestATwinIsReadAndPatchedWithVersions(t *testing.T) {
	h := start(t, &Hub{})
	c := device1(t, h)
	c.say("$iothub/twin/PATCH/properties/reported/?$rid=a", `{"jobs":{"x":{"state":"running","gone":1}}}`)
	if topic, _ := c.next(); topic != "$iothub/twin/res/204/?$rid=a&$version=2" {
		t.Errorf("got %s", topic)
	}
	c.say("$iothub/twin/PATCH/properties/reported/?$rid=b", `{"jobs":{"x":{"gone":null}}}`)
	c.next()
	if err := h.Desire("gw-1", []byte(`{"jobs":{"x":{"url":"u"}}}`)); err != nil {
		t.Fatal(err)
	}
	if topic, payload := c.next(); topic != "$iothub/twin/PATCH/properties/desired/?$version=2" || payload != `{"$version":2,"jobs":{"x":{"url":"u"}}}` {
		t.Errorf("got %s %s", topic, payload)
	}
	c.say("$iothub/twin/GET/?$rid=c", "")
	want := `{"desired":{"$version":2,"jobs":{"x":{"url":"u"}}},"reported":{"$version":3,"jobs":{"x":{"state":"running"}}}}`
	if topic, payload := c.next(); topic != "$iothub/twin/res/200/?$rid=c" || payload != want {
		t.Errorf("got %s %s, want %s", topic, payload, want)
	}
	n, err := h.Count("SELECT COUNT() AS n FROM devices WHERE properties.reported.jobs.x.state = 'running'")
	if n != 1 || err != nil {
		t.Errorf("got %d %v, want 1", n, err)
	}
}

func TestAPatchBeyondTheBoundsIsRefusedWhole(t *testing.T) {
	h := start(t, &Hub{})
	c := device1(t, h)
	big := map[string]string{}
	for i := range 10 {
		big[fmt.Sprint(i)] = strings.Repeat("x", 4000)
	}
	large, _ := json.Marshal(big)
	for name, patch := range map[string]string{
		"no JSON": "{", "a list": "[]", "a dot": `{"a.b":1}`, "a blank": `{"a b":1}`, "a dollar": `{"$a":1}`,
		"depth":   strings.Repeat(`{"a":`, 12) + "1" + strings.Repeat("}", 12),
		"integer": `{"good":1,"a":4503599627370496}`, "longer integer": `{"a":52839200586314100001}`,
		"string": `{"good":1,"a":"` + strings.Repeat("x", 4097) + `"}`, "section": string(large),
	} {
		c.say("$iothub/twin/PATCH/properties/reported/?$rid=a", patch)
		if topic, _ := c.next(); topic != "$iothub/twin/res/400/?$rid=a" {
			t.Errorf("%s: got %s, want 400", name, topic)
		}
	}
	if got := h.Twin("gw-1"); len(got.Reported) != 0 || got.ReportedVersion != 1 {
		t.Errorf("got %v, want nothing changed", got)
	}
}

func TestAMethodIsAnsweredOnceOrNotAtAll(t *testing.T) {
	h := start(t, &Hub{})
	if _, _, err := h.Invoke("gw-1", "status", nil, time.Second); err != ErrOffline {
		t.Errorf("got %v, want it offline", err)
	}
	c := device1(t, h)
	go func() {
		topic, payload := c.next()
		rid := topic[strings.Index(topic, "=")+1:]
		c.say("$iothub/methods/res/418/?$rid="+rid, payload)
		c.say("$iothub/methods/res/200/?$rid="+rid, "{}")
	}()
	status, body, err := h.Invoke("gw-1", "status", []byte(`{"id":"x"}`), 5*time.Second)
	if status != 418 || string(body) != `{"id":"x"}` || err != nil {
		t.Errorf("got %d %s %v", status, body, err)
	}
	if _, _, err := h.Invoke("gw-1", "status", nil, 50*time.Millisecond); err != ErrTimeout {
		t.Errorf("got %v, want a time-out", err)
	}
}

func TestASecondConnectionEndsTheFirst(t *testing.T) {
	h := start(t, &Hub{})
	c := device1(t, h)
	device1(t, h)
	c.mustLose()
}

func TestMessagesToADeviceWaitForIt(t *testing.T) {
	h := start(t, &Hub{})
	c := device1(t, h)
	c.Subscribe(filterBound("gw-1"), 1, nil).Wait()
	if err := h.Send("gw-1", "a=b", []byte("hello")); err != nil {
		t.Fatal(err)
	}
	if topic, payload := c.next(); topic != "devices/gw-1/messages/devicebound/a=b" || payload != "hello" {
		t.Errorf("got %s %s", topic, payload)
	}
	c.say("devices/gw-1/messages/events/$.ct=application%2Fjson&kind=alert", "{}")
	if got := h.Messages("gw-1"); len(got) != 1 || got[0].Properties["$.ct"] != "application/json" || got[0].Properties["kind"] != "alert" {
		t.Errorf("got %v", got)
	}
}

func TestAConfigurationComesAndGoesWithItsScope(t *testing.T) {
	h := start(t, &Hub{})
	low := Configuration{ID: "low", Condition: "*", Priority: 1}
	low.Content.Device = map[string]json.RawMessage{"properties.desired.jobs.x": json.RawMessage(`{"url":"low"}`)}
	high := Configuration{ID: "high", Condition: "tags.site = 'berlin'", Priority: 2}
	high.Content.Device = map[string]json.RawMessage{"properties.desired.jobs.x": json.RawMessage(`{"url":"high"}`)}
	for _, c := range []Configuration{low, high} {
		if err := h.Configure(c); err != nil {
			t.Fatal(err)
		}
	}
	for _, step := range []struct{ tag, want string }{
		{`{}`, `{"jobs":{"x":{"url":"low"}}}`},
		{`{"site":"berlin"}`, `{"jobs":{"x":{"url":"high"}}}`},
		{`{"site":null}`, `{"jobs":{"x":{"url":"low"}}}`},
	} {
		if err := h.Tag("gw-1", []byte(step.tag)); err != nil {
			t.Fatal(err)
		}
		if got, _ := json.Marshal(h.Twin("gw-1").Desired); string(got) != step.want {
			t.Errorf("after %s: got %s, want %s", step.tag, got, step.want)
		}
	}
	h.Unconfigure("low")
	if got, _ := json.Marshal(h.Twin("gw-1").Desired); string(got) != `{"jobs":{}}` {
		t.Errorf("got %s, want no job", got)
	}
}

func TestAHubJobReachesEveryDeviceOrCountsItAsFailed(t *testing.T) {
	h := start(t, &Hub{})
	h.AddDevice("gw-2", []byte("key"))
	c := device1(t, h)
	go func() {
		topic, _ := c.next()
		c.say("$iothub/methods/res/200/?$rid="+topic[strings.Index(topic, "=")+1:], "{}")
	}()
	j := Job{ID: "one", Type: "scheduleDeviceMethod", Method: &Method{Name: "status"}, MaxTime: 1, Start: time.Now().Add(-800 * time.Millisecond)}
	if err := h.Schedule(j); err != nil {
		t.Fatal(err)
	}
	for end := time.Now().Add(10 * time.Second); time.Now().Before(end); time.Sleep(20 * time.Millisecond) {
		if got, _ := h.Job("one"); got.Status == "completed" {
			h.mu.Lock()
			defer h.mu.Unlock()
			if s := h.jobs["one"].Statistics; s["succeededCount"] != 1 || s["failedCount"] != 1 {
				t.Errorf("got %v, want one of each", s)
			}
			return
		}
	}
	t.Error("the job does not end")
}
