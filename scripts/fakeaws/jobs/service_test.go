package jobs

import (
	"encoding/json"
	"fmt"
	"strings"
	"testing"
	"time"

	mqtt "github.com/eclipse/paho.mqtt.golang"
)

// A client is any device, which does what it likes.
type client struct {
	t     *testing.T
	mqtt  mqtt.Client
	heard chan mqtt.Message
}

func connect(t *testing.T, s *Service, thing string) *client {
	t.Helper()
	c := &client{t: t, heard: make(chan mqtt.Message, 100)}
	o := mqtt.NewClientOptions().AddBroker("tcp://" + s.Address()).SetClientID(thing).SetAutoReconnect(false).
		SetDefaultPublishHandler(func(_ mqtt.Client, m mqtt.Message) { c.heard <- m })
	c.mqtt = mqtt.NewClient(o)
	if token := c.mqtt.Connect(); token.Wait() && token.Error() != nil {
		t.Fatal(token.Error())
	}
	t.Cleanup(func() { c.mqtt.Disconnect(0) })
	return c
}

// ask publishes a request and returns the end of the answer's topic and its body.
func (c *client) ask(topic, payload string) (string, map[string]any) {
	c.t.Helper()
	c.mqtt.Publish("$aws/things/gw-1/"+topic, 1, false, payload)
	for {
		select {
		case m := <-c.heard:
			if rest, ok := strings.CutPrefix(m.Topic(), "$aws/things/gw-1/"+topic+"/"); ok {
				var body map[string]any
				if err := json.Unmarshal(m.Payload(), &body); err != nil {
					c.t.Fatal(err)
				}
				return rest, body
			}
		case <-time.After(5 * time.Second):
			c.t.Fatalf("%s was not answered", topic)
		}
	}
}

func start(t *testing.T) (*Service, *client) {
	t.Helper()
	s := &Service{}
	if err := s.Start(); err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { s.Close() })
	return s, connect(t, s, "gw-1")
}

func (s *Service) must(t *testing.T, id string) {
	t.Helper()
	if err := s.Create(Job{ID: id, Targets: []string{"gw-1"}, Document: `{"a":1}`}); err != nil {
		t.Fatal(err)
	}
}

// TestEveryRefusalHasItsCode is the table of [errors], [lifecycle] and [model].
func TestEveryRefusalHasItsCode(t *testing.T) {
	s, c := start(t)
	s.must(t, "queued")
	s.must(t, "done")
	c.ask("jobs/done/update", `{"status":"IN_PROGRESS"}`)
	c.ask("jobs/done/update", `{"status":"SUCCEEDED"}`)
	pairs := map[string]string{}
	for i := range 11 {
		pairs[fmt.Sprint("k", i)] = "v"
	}
	many, err := json.Marshal(pairs)
	if err != nil {
		t.Fatal(err)
	}
	for request, want := range map[string]string{
		`jobs/none/get {}`:                                                                                      "ResourceNotFound",
		`jobs/done/get {}`:                                                                                      "TerminalStateReached",
		`jobs/done/update {"status":"FAILED"}`:                                                                  "InvalidStateTransition",
		`jobs/none/update {"status":"FAILED"}`:                                                                  "ResourceNotFound",
		`jobs/queued/update {"status":"FAILED","executionNumber":7}`:                                            "ResourceNotFound",
		`jobs/queued/update {"status":"TIMED_OUT"}`:                                                             "InvalidRequest",
		`jobs/queued/update {}`:                                                                                 "InvalidRequest",
		`jobs/queued/update {"status":"SUCCEEDED"}`:                                                             "InvalidStateTransition",
		`jobs/queued/update {"status":"IN_PROGRESS","expectedVersion":"9"}`:                                     "VersionMismatch",
		`jobs/queued/update {"status":"IN_PROGRESS","stepTimeoutInMinutes":0}`:                                  "InvalidRequest",
		`jobs/queued/update {"status":"IN_PROGRESS","statusDetails":{"a b":"v"}}`:                               "InvalidRequest",
		`jobs/queued/update {"status":"IN_PROGRESS","statusDetails":{"a":""}}`:                                  "InvalidRequest",
		`jobs/queued/update {"status":"IN_PROGRESS","statusDetails":{"a":"x\ny"}}`:                              "InvalidRequest",
		`jobs/queued/update {"status":"IN_PROGRESS","statusDetails":{"a":"` + strings.Repeat("x", 1025) + `"}}`: "InvalidRequest",
		`jobs/queued/update {"status":"IN_PROGRESS","statusDetails":` + string(many) + `}`:                      "InvalidRequest",
		`jobs/queued/update {"status":7}`:                                                                       "InvalidRequest",
		`jobs/queued/update {"status":"IN_PROGRESS","statusDetails":{"a":1}}`:                                   "InvalidRequest",
		`jobs/queued/get {"clientToken":"` + strings.Repeat("x", 65) + `"}`:                                     "InvalidRequest",
		`jobs/queued/update {`:                                                                                  "InvalidJson",
		`jobs/a.b/update {}`:                                                                                    "InvalidTopic",
	} {
		topic, payload, _ := strings.Cut(request, " ")
		if payload != "{" && !strings.Contains(payload, "clientToken") {
			payload = strings.Replace(payload, "{", `{"clientToken":"t",`, 1)
			payload = strings.Replace(payload, ",}", "}", 1)
		}
		reply, body := c.ask(topic, payload)
		if reply != "rejected" || body["code"] != want || payload != "{" && body["clientToken"] == nil {
			t.Errorf("%s: got %s %v, want %s", request, reply, body, want)
		}
		if state := body["executionState"] != nil; state != (want == "InvalidStateTransition" || want == "VersionMismatch") {
			t.Errorf("%s: got an execution state: %v", request, state)
		}
	}
	if e := s.Execution("gw-1", "queued"); e.Status != "QUEUED" || e.Version != 1 {
		t.Errorf("got %s in version %d after refusals only, want it unchanged", e.Status, e.Version)
	}
}

func TestTheHeadIsToldWhenItIsAnotherOne(t *testing.T) {
	s, c := start(t)
	if token := c.mqtt.Subscribe("$aws/things/gw-1/jobs/notify-next", 1, nil); token.Wait() && token.Error() != nil {
		t.Fatal(token.Error())
	}
	next := func() any {
		t.Helper()
		select {
		case m := <-c.heard:
			var body struct{ Execution map[string]any }
			if err := json.Unmarshal(m.Payload(), &body); err != nil {
				t.Fatal(err)
			}
			return body.Execution["jobId"]
		case <-time.After(300 * time.Millisecond):
			return "nothing"
		}
	}
	wants := func(want any) {
		t.Helper()
		if got := next(); got != want {
			t.Errorf("got %v as the next head, want %v", got, want)
		}
	}
	s.must(t, "a")
	wants("a")
	s.must(t, "b")
	wants("nothing")
	c.mqtt.Publish("$aws/things/gw-1/jobs/b/update", 1, false, `{"status":"IN_PROGRESS"}`)
	got := []any{next(), next()}
	if fmt.Sprint(got) != "[b <nil>]" && fmt.Sprint(got) != "[<nil> b]" { // the answer is the other one
		t.Errorf("got %v, want b to jump ahead", got)
	}
	s.Cancel("b", false)
	wants("nothing")
	s.Cancel("b", true)
	wants("a")
	s.Delete("a")
	wants(nil)
}

func TestDetailsAreReplacedOrLeftAloneAndTimersEndExecutions(t *testing.T) {
	s := &Service{Minute: 200 * time.Millisecond}
	if err := s.Start(); err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { s.Close() })
	c := connect(t, s, "gw-1")
	if err := s.Create(Job{ID: "a", Targets: []string{"gw-1"}, Document: `{}`, Retries: map[string]int{"ALL": 1}}); err != nil {
		t.Fatal(err)
	}
	c.ask("jobs/a/update", `{"status":"IN_PROGRESS","statusDetails":{"x":"1","y":"2"}}`)
	c.ask("jobs/a/update", `{"status":"IN_PROGRESS"}`)
	if d := s.Execution("gw-1", "a").Details; len(d) != 2 {
		t.Errorf("got %v, want the details left alone", d)
	}
	c.ask("jobs/a/update", `{"status":"IN_PROGRESS","statusDetails":{"z":"3"},"stepTimeoutInMinutes":1}`)
	if d := s.Execution("gw-1", "a").Details; len(d) != 1 || d["z"] != "3" {
		t.Errorf("got %v, want them replaced as a whole", d)
	}
	for end := time.Now().Add(5 * time.Second); s.Execution("gw-1", "a").Number != 2; time.Sleep(10 * time.Millisecond) {
		if time.Now().After(end) {
			t.Fatal("the step's timer never ended the execution, or it was not tried again")
		}
	}
	if first := s.Executions("gw-1")[0]; first.Status != "TIMED_OUT" {
		t.Errorf("got %s, want TIMED_OUT", first.Status)
	}
	_, body := c.ask("jobs/$next/get", `{}`)
	if e, _ := body["execution"].(map[string]any); e["executionNumber"] != 2.0 || e["status"] != "QUEUED" || e["jobDocument"] == nil {
		t.Errorf("got %v, want the second execution with its document", body)
	}
}

func TestAConnectionThatBreaksARuleIsEnded(t *testing.T) {
	s, _ := start(t)
	for name, do := range map[string]func(mqtt.Client){
		"nine filters": func(m mqtt.Client) {
			filters := map[string]byte{}
			for i := range 9 {
				filters[fmt.Sprint("t/", i)] = 1
			}
			m.SubscribeMultiple(filters, nil)
		},
		"a deep filter": func(m mqtt.Client) { m.Subscribe("a/b/c/d/e/f/g/h/+", 1, nil) },
		"a long filter": func(m mqtt.Client) { m.Subscribe(strings.Repeat("x", 257), 1, nil) },
		"a long topic":  func(m mqtt.Client) { m.Publish(strings.Repeat("x", 257), 1, false, "") },
		"deep reserved": func(m mqtt.Client) { m.Publish("$aws/things/gw-deep-reserved/jobs/a/b/c/d/e", 1, false, "{}") },
		"too much":      func(m mqtt.Client) { m.Publish("a", 1, false, make([]byte, 129<<10)) },
		"another thing": func(m mqtt.Client) { m.Publish("$aws/things/other/jobs/$next/get", 1, false, "{}") },
		"too deep":      func(m mqtt.Client) { m.Publish("a/b/c/d/e/f/g/h/i", 1, false, "") },
	} {
		c := connect(t, s, "gw-"+strings.ReplaceAll(name, " ", "-"))
		do(c.mqtt)
		for end := time.Now().Add(5 * time.Second); c.mqtt.IsConnectionOpen(); time.Sleep(5 * time.Millisecond) {
			if time.Now().After(end) {
				t.Errorf("%s: the connection stands", name)
				break
			}
		}
	}
}

func TestAClientIDThatIsTooLongIsRefused(t *testing.T) {
	s, _ := start(t)
	o := mqtt.NewClientOptions().AddBroker("tcp://" + s.Address()).SetClientID(strings.Repeat("x", 129)).SetAutoReconnect(false)
	c := mqtt.NewClient(o)
	if token := c.Connect(); token.Wait() && token.Error() == nil {
		t.Error("it is let in")
	}
}
