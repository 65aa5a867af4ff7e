package jobs

import (
	"encoding/json"
	"fmt"
	"strings"
	"testing"
	"time"

	mqtt "github.com/eclipse/paho.mqtt.golang"
)

func numbered(text string, id int) string { return strings.ReplaceAll(text, "%ID", fmt.Sprint(id)) }

// TestAJobThatTheServiceWouldNotTakeIsRefused is [model], [limits] and [retry].
func TestAJobThatTheServiceWouldNotTakeIsRefused(t *testing.T) {
	s, c := start(t)
	for _, text := range []string{
		`{"jobId":"j","targets":["gw-1"],"document":"no JSON"}`,
		`{"jobId":"j","targets":["gw-1"],"document":""}`,
		`{"jobId":"j","targets":["gw-1"],"document":"{} {}"}`,
		`{"jobId":"j","targets":["gw-1"],"document":"\"` + strings.Repeat("x", 32767) + `\""}`,
		`{"jobId":"j","targets":["gw-1"],"document":"{}","inProgressTimeoutInMinutes":0}`,
		`{"jobId":"j","targets":["gw-1"],"document":"{}","inProgressTimeoutInMinutes":99999}`,
		`{"jobId":"j","targets":["a b"],"document":"{}"}`,
		`{"jobId":"j","targets":["` + strings.Repeat("x", 129) + `"],"document":"{}"}`,
		`{"jobId":"j.j","targets":["gw-1"],"document":"{}"}`,
		`{"jobId":"` + strings.Repeat("x", 65) + `","targets":["gw-1"],"document":"{}"}`,
		`{"jobId":"j","targets":["gw-1"],"document":"{}","retries":{"FAILED":6,"TIMED_OUT":5}}`,
		`{"jobId":"j","targets":["gw-1"],"document":"{}","retries":{"REJECTED":1}}`,
	} {
		var j Job
		if err := json.Unmarshal([]byte(text), &j); err != nil {
			t.Fatal(err)
		}
		if err := s.Create(j); err == nil {
			t.Errorf("%.80s was taken", text)
		}
	}
	if _, body := c.ask("jobs/$next/get", `{}`); body["execution"] != nil {
		t.Errorf("got %v, want nothing queued", body)
	}
}

func TestTheListOfJobsIsToldWhenItIsAnotherOne(t *testing.T) {
	s, c := start(t)
	if token := c.mqtt.Subscribe("$aws/things/gw-1/jobs/notify", 1, nil); token.Wait() && token.Error() != nil {
		t.Fatal(token.Error())
	}
	listed := func() (n int) {
		t.Helper()
		select {
		case m := <-c.heard:
			var body struct{ Jobs map[string][]any }
			if err := json.Unmarshal(m.Payload(), &body); err != nil || !strings.HasSuffix(m.Topic(), "notify") || m.Qos() != 1 {
				t.Fatal(err, m.Topic(), m.Qos())
			}
			for _, list := range body.Jobs {
				n += len(list)
			}
		case <-time.After(10 * time.Second):
			t.Fatal("the list was not told")
		}
		return n
	}
	for i := range 17 {
		s.must(t, fmt.Sprint("j", i))
		if got, want := listed(), min(i+1, 15); got != want {
			t.Errorf("got %d executions of %d, want %d", got, i+1, want)
		}
	}
	c.ask("jobs/j0/update", `{"status":"IN_PROGRESS"}`)
	c.ask("jobs/j0/update", `{"status":"IN_PROGRESS","statusDetails":{"a":"b"}}`)
	select {
	case m := <-c.heard:
		t.Errorf("got %s %s for an execution that merely changed", m.Topic(), m.Payload())
	default: // it would have come before the answer
	}
	s.Cancel("j0", true)
	if got := listed(); got != 15 {
		t.Errorf("got %d executions of 16, want 15", got)
	}
}

// What the device asked while it was there may be lost; what it is told while
// it is away waits in its session.
func TestNotificationsWaitForADeviceWithAPersistentSession(t *testing.T) {
	s, _ := start(t)
	heard := make(chan mqtt.Message, 10)
	again := func() mqtt.Client {
		o := mqtt.NewClientOptions().AddBroker("tcp://" + s.Address()).SetClientID("gw-2").SetCleanSession(false).SetAutoReconnect(false).
			SetDefaultPublishHandler(func(_ mqtt.Client, m mqtt.Message) { heard <- m })
		c := mqtt.NewClient(o)
		if token := c.Connect(); token.Wait() && token.Error() != nil {
			t.Fatal(token.Error())
		}
		t.Cleanup(func() { c.Disconnect(0) })
		return c
	}
	c := again()
	c.Subscribe("$aws/things/gw-2/jobs/+", 1, nil).Wait()
	c.Disconnect(0)
	for s.Client("gw-2") != nil {
		time.Sleep(time.Millisecond)
	}
	if err := s.Create(Job{ID: "j", Targets: []string{"gw-2"}, Document: "{}"}); err != nil {
		t.Fatal(err)
	}
	again()
	kept := map[string]byte{}
	for len(kept) < 2 { // in any order
		select {
		case m := <-heard:
			kept[strings.TrimPrefix(m.Topic(), "$aws/things/gw-2/jobs/")] = m.Qos()
		case <-time.After(10 * time.Second):
			t.Fatalf("only %v were kept", kept)
		}
	}
	if kept["notify"] != 1 || kept["notify-next"] != 1 {
		t.Errorf("got %v, want both with QoS 1", kept)
	}
}

// An answer comes with the QoS of the subscription, and with 0 without one.
func TestAnswersHaveTheQoSThatWasAskedFor(t *testing.T) {
	s, c := start(t)
	s.must(t, "j")
	for _, want := range []byte{0, 1} {
		c.mqtt.Publish("$aws/things/gw-1/jobs/j/get", 1, false, "{}")
		if m := <-c.heard; m.Qos() != want {
			t.Errorf("got QoS %d, want %d", m.Qos(), want)
		}
		c.mqtt.Subscribe("$aws/things/gw-1/jobs/+/get/#", 1, nil).Wait()
	}
}

func TestTimersAreToldAndBounded(t *testing.T) {
	s, c := start(t)
	if err := s.Create(Job{ID: "j", Targets: []string{"gw-1"}, Document: "{}"}); err != nil {
		t.Fatal(err)
	}
	for _, minutes := range []string{"0", "-2", "99999"} {
		reply, body := c.ask("jobs/start-next", `{"stepTimeoutInMinutes":`+minutes+`}`)
		if reply != "rejected" || body["code"] != "InvalidRequest" {
			t.Errorf("%s minutes: got %s %v, want it refused", minutes, reply, body)
		}
	}
	c.ask("jobs/start-next", `{"stepTimeoutInMinutes":10}`)
	_, body := c.ask("jobs/j/get", `{"includeJobDocument":false}`)
	e, _ := body["execution"].(map[string]any)
	if left, _ := e["approximateSecondsBeforeTimedOut"].(float64); left < 540 || left > 600 || e["jobDocument"] != nil {
		t.Errorf("got %v, want about 600 s left and no document", e)
	}
	c.ask("jobs/j/update", `{"status":"IN_PROGRESS","stepTimeoutInMinutes":-1}`)
	if _, body := c.ask("jobs/j/get", `{}`); strings.Contains(fmt.Sprint(body), "approximate") {
		t.Errorf("got %v, want no timer", body)
	}
}

// The service says nothing to QoS 2, and the connection stands.
func TestQoS2IsNotAnswered(t *testing.T) {
	s, c := start(t)
	s.must(t, "j")
	sub, pub := c.mqtt.Subscribe("$aws/things/gw-1/jobs/notify", 2, nil), c.mqtt.Publish("a", 2, false, "")
	c.ask("jobs/j/get", "{}")
	for name, token := range map[string]mqtt.Token{"SUBSCRIBE": sub, "PUBLISH": pub} {
		select {
		case <-token.Done():
			t.Errorf("%s was answered: %v", name, token.Error())
		default:
		}
	}
}
