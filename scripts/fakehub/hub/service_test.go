package hub

import (
	"encoding/json"
	"fmt"
	"io"
	"net/http"
	"net/http/httptest"
	"strings"
	"testing"
	"time"

	"github.com/mochi-mqtt/server/v2/packets"
)

// A caller is a service that uses the hub's REST interface.
type caller struct {
	t   *testing.T
	url string
}

func service(t *testing.T, h *Hub) *caller {
	s := httptest.NewServer(h.Service())
	t.Cleanup(s.Close)
	return &caller{t, s.URL}
}

// do makes a request such as "GET /devices", with an etag if that is not empty,
// and returns the status and what came as JSON.
func (c *caller) do(request, etag, body string) (int, any) {
	c.t.Helper()
	method, path, _ := strings.Cut(request, " ")
	if !strings.Contains(path, "?") {
		path += "?api-version=2021-04-12"
	}
	r, err := http.NewRequest(method, c.url+path, strings.NewReader(body))
	if err != nil {
		c.t.Fatal(err)
	}
	if etag != "" {
		r.Header.Set("If-Match", `"`+etag+`"`)
	}
	answer, err := http.DefaultClient.Do(r)
	if err != nil {
		c.t.Fatal(err)
	}
	defer answer.Body.Close()
	text, err := io.ReadAll(answer.Body)
	if err != nil {
		c.t.Fatal(err)
	}
	var v any
	if len(text) > 0 && json.Unmarshal(text, &v) != nil {
		c.t.Errorf("%s: got %d %q, want JSON", request, answer.StatusCode, text)
	}
	return answer.StatusCode, v
}

// must is do where the status is to be this.
func (c *caller) must(want int, request, etag, body string) map[string]any {
	c.t.Helper()
	got, v := c.do(request, etag, body)
	if got != want {
		c.t.Errorf("%s %s: got %d %v, want %d", request, body, got, v, want)
	}
	object, _ := v.(map[string]any)
	return object
}

func TestTheRegistryKeepsATwinThroughItsChanges(t *testing.T) {
	h := start(t, &Hub{})
	c := service(t, h)
	c.must(409, "PUT /devices/gw-1", "", `{"deviceId":"gw-1"}`)
	c.must(404, "PUT /devices/gw-9", "*", `{"deviceId":"gw-9"}`)
	c.must(400, "PUT /devices/a%20b", "", `{}`)
	made := c.must(200, "PUT /devices/gw-2", "", `{"deviceId":"gw-2","authentication":{"type":"sas","symmetricKey":{"primaryKey":"a2V5","secondaryKey":""}}}`)
	c.must(200, "PATCH /twins/gw-2", "", `{"tags":{"site":"berlin"}}`)
	c.must(412, "PUT /devices/gw-2", "stale", `{"deviceId":"gw-2"}`)
	c.must(200, "PUT /devices/gw-2", fmt.Sprint(made["etag"]), `{"deviceId":"gw-2","status":"disabled"}`)
	if d := c.must(200, "GET /devices/gw-2", "", ""); d["status"] != "disabled" || d["authentication"].(map[string]any)["symmetricKey"].(map[string]any)["primaryKey"] == "" {
		t.Errorf("got %v, want it disabled, with keys that the hub made", d)
	}
	if twin := c.must(200, "GET /twins/gw-2", "", ""); fmt.Sprint(twin["tags"]) != "map[site:berlin]" {
		t.Errorf("got %v, want the twin kept", twin)
	}
	if _, list := c.do("GET /devices", "", ""); len(list.([]any)) != 2 {
		t.Errorf("got %v, want both devices", list)
	}
	c.must(412, "DELETE /devices/gw-2", "stale", "")
	c.must(204, "DELETE /devices/gw-2", "*", "")
	if gone := c.must(404, "GET /devices/gw-2", "", ""); !strings.HasPrefix(fmt.Sprint(gone["Message"]), "ErrorCode:DeviceNotFound;") {
		t.Errorf("got %v, want the service's own error", gone)
	}
}

// Messages that were on their way are taken without any effect.
func TestADeviceThatIsDeletedLosesItsConnectionAndTheHubStands(t *testing.T) {
	h := start(t, &Hub{})
	s, c := service(t, h), device1(t, h)
	cl := h.Client("gw-1")
	s.must(204, "DELETE /devices/gw-1", "", "")
	c.mustLose()
	h.answerGet(cl, "$iothub/twin/GET/?$rid=a", "a")
	h.answerPatch(cl, "$iothub/twin/PATCH/properties/reported/?$rid=a", "a", "", []byte(`{"a":1}`))
	h.takeMessage(cl, "", packets.Packet{TopicName: "devices/gw-1/messages/events/"})
	if list := h.Devices(); len(list) != 0 || len(h.Messages("gw-1")) != 0 {
		t.Errorf("got %v, want no device", list)
	}
}

func TestATwinIsPatchedWhereItsETagMatches(t *testing.T) {
	h := start(t, &Hub{})
	c := service(t, h)
	first := c.must(200, "PATCH /twins/gw-1", "", `{"tags":{"a":1},"properties":{"desired":{"b":2}}}`)
	if first["etag"] == nil || fmt.Sprint(first["properties"].(map[string]any)["desired"]) != "map[$version:2 b:2]" {
		t.Errorf("got %v, want the twin as it is now, with its etag", first)
	}
	second := c.must(200, "PATCH /twins/gw-1", fmt.Sprint(first["etag"]), `{"tags":{"a":2}}`)
	c.must(412, "PATCH /twins/gw-1", fmt.Sprint(first["etag"]), `{"tags":{"a":3}}`)
	c.must(400, "PATCH /twins/gw-1", "*", `{"tags":{"a":4},"properties":{"desired":{"$b":2}}}`)
	if now := c.must(200, "GET /twins/gw-1", "", ""); now["etag"] != second["etag"] || fmt.Sprint(now["tags"]) != "map[a:2]" {
		t.Errorf("got %v, want what was refused without any effect", now)
	}
	c.must(404, "PATCH /twins/gw-9", "", `{"tags":{}}`)
}

func TestOnlyAPublishedVersionOfTheInterfaceIsServed(t *testing.T) {
	h := start(t, &Hub{})
	c := service(t, h)
	c.must(400, "GET /devices?api-version=2099-01-01", "", "")
	c.must(400, "GET /devices?x=y", "", "")
	o := options("tcp://"+h.Address(), "gw-1", host+"/gw-1/?api-version=2099-01-01", token("gw-1", []byte("key"), time.Now().Add(time.Hour)))
	if _, err := join(t, h, o); err == nil {
		t.Error("a device with an unknown version is let in")
	}
}

func TestAMethodsTimesAreBoundedAndItsAnswerMayBeEmpty(t *testing.T) {
	h := start(t, &Hub{})
	c := service(t, h)
	for _, body := range []string{`{}`, `{"methodName":"m","responseTimeoutInSeconds":4}`, `{"methodName":"m","responseTimeoutInSeconds":301}`,
		`{"methodName":"m","connectTimeoutInSeconds":301}`, `{"methodName":"m","connectTimeoutInSeconds":-1}`} {
		c.must(400, "POST /twins/gw-1/methods", "", body)
		c.must(400, "PUT /jobs/v2/j", "", `{"type":"scheduleDeviceMethod","cloudToDeviceMethod":`+body+`}`)
	}
	c.must(404, "POST /twins/gw-9/methods", "", `{"methodName":"m","responseTimeoutInSeconds":5}`)
	if offline := c.must(404, "POST /twins/gw-1/methods", "", `{"methodName":"m","responseTimeoutInSeconds":5}`); !strings.Contains(fmt.Sprint(offline["Message"]), "DeviceNotOnline") {
		t.Errorf("got %v, want it offline", offline)
	}
	done := make(chan map[string]any)
	go func() {
		_, v := c.do("POST /twins/gw-1/methods", "", `{"methodName":"m","responseTimeoutInSeconds":20,"connectTimeoutInSeconds":20}`)
		object, _ := v.(map[string]any)
		done <- object
	}()
	d := device1(t, h)
	topic, _ := d.next()
	d.say("$iothub/methods/res/204/?$rid="+topic[strings.Index(topic, "=")+1:], "")
	if answer := <-done; answer["status"] != 204.0 || answer["payload"] != nil {
		t.Errorf("got %v, want 204 without a payload", answer)
	}
	d.say("$iothub/twin/GET/?$rid=still", "")
	if topic, _ := d.next(); topic != "$iothub/twin/res/200/?$rid=still" {
		t.Errorf("got %s, want the connection to stand", topic)
	}
}

func TestMessagesToADeviceWaitUntilItTakesThem(t *testing.T) {
	h := start(t, &Hub{})
	if err := h.Send("gw-1", "n=1", []byte("early")); err != nil { // before it ever was there
		t.Fatal(err)
	}
	c := device1(t, h)
	if err := h.Send("gw-1", "n=2", []byte("unsubscribed")); err != nil {
		t.Fatal(err)
	}
	c.Subscribe(filterBound("gw-1"), 1, nil).Wait()
	for _, want := range []string{"early", "unsubscribed"} {
		if _, payload := c.next(); payload != want {
			t.Errorf("got %s, want %s", payload, want)
		}
	}
	for end := time.Now().Add(10 * time.Second); ; time.Sleep(5 * time.Millisecond) {
		if d, err := h.Device("gw-1"); err != nil || d.Waiting == 0 {
			break
		}
		if time.Now().After(end) {
			t.Fatal("what was acknowledged still waits")
		}
	}
	c.Disconnect(0)
	for i := range pending {
		if err := h.Send("gw-1", fmt.Sprint("n=", i), nil); err != nil {
			t.Fatal(err)
		}
	}
	if err := h.Send("gw-1", "n=51", nil); err == nil {
		t.Errorf("the %dth message was taken", pending+1)
	}
}

func TestConditionsOnReportedPropertiesAreJudgedAgain(t *testing.T) {
	h := start(t, &Hub{})
	s, c := service(t, h), device1(t, h)
	s.must(200, "PUT /configurations/roll", "", `{"targetCondition":"properties.reported.facts.board = 'x'","content":{"deviceContent":{"properties.desired.jobs.roll":{"url":"u"}}}}`)
	for _, step := range []struct{ patch, want string }{
		{`{"facts":{"board":"x"}}`, `{"jobs":{"roll":{"url":"u"}}}`},
		{`{"facts":null}`, `{"jobs":{}}`},
	} {
		c.say("$iothub/twin/PATCH/properties/reported/?$rid=a", step.patch)
		for end := time.Now().Add(10 * time.Second); ; time.Sleep(5 * time.Millisecond) {
			if got, _ := json.Marshal(h.Twin("gw-1").Desired); string(got) == step.want {
				break
			} else if time.Now().After(end) {
				t.Fatalf("after %s: got %s, want %s", step.patch, got, step.want)
			}
		}
	}
}

func TestAPatchForAnotherVersionIsRefused(t *testing.T) {
	h := start(t, &Hub{})
	c := device1(t, h)
	for _, step := range []struct{ query, want string }{
		{"$rid=a&$version=1", "204/?$rid=a&$version=2"},
		{"$rid=b&$version=1", "412/?$rid=b"},
		{"$rid=c", "204/?$rid=c&$version=3"},
	} {
		c.say("$iothub/twin/PATCH/properties/reported/?"+step.query, `{"a":1}`)
		if topic, _ := c.next(); topic != "$iothub/twin/res/"+step.want {
			t.Errorf("%s: got %s, want %s", step.query, topic, step.want)
		}
	}
}

func TestATwinMayBeTenDeepAndIsCountedAsDocumented(t *testing.T) {
	h := start(t, &Hub{})
	nested := func(n int) string { return strings.Repeat(`{"a":`, n) + `{"p":1}` + strings.Repeat("}", n) }
	if err := h.Desire("gw-1", []byte(nested(10))); err != nil {
		t.Errorf("ten deep: %v", err)
	}
	if h.Desire("gw-1", []byte(nested(11))) == nil {
		t.Error("eleven deep was taken")
	}
	many := map[string]bool{}
	for i := range 3000 {
		many[fmt.Sprintf("%05d", i)] = true // 9 bytes each, 13 of JSON
	}
	text, err := json.Marshal(many)
	if err != nil {
		t.Fatal(err)
	}
	if err := h.Desire("gw-1", text); err != nil {
		t.Errorf("27,000 bytes as the service counts: %v", err)
	}
}

func TestConfigurationsAreMadeReadChangedAndTaken(t *testing.T) {
	h := start(t, &Hub{})
	c := service(t, h)
	const body = `{"id":"roll","labels":{"l":"1"},"priority":1,"targetCondition":"*","content":{"deviceContent":{"properties.desired.a":1}},"metrics":{"queries":{"all":"SELECT deviceId FROM devices"}}}`
	made := c.must(200, "PUT /configurations/roll", "", body)
	c.must(409, "PUT /configurations/roll", "", body)
	c.must(412, "PUT /configurations/roll", "stale", body)
	c.must(200, "PUT /configurations/roll", fmt.Sprint(made["etag"]), strings.Replace(body, `.a":1`, `.a":2`, 1))
	c.must(400, "PUT /configurations/bad", "", `{"targetCondition":"*","content":{"deviceContent":{"tags.a":1}}}`)
	c.must(400, "PUT /configurations/bad", "", `{"targetCondition":"tags.a ="}`)
	if got := c.must(200, "GET /configurations/roll", "", ""); fmt.Sprint(got["metrics"].(map[string]any)["results"]) != "map[all:1]" {
		t.Errorf("got %v, want its metrics counted", got)
	}
	if _, list := c.do("GET /configurations", "", ""); len(list.([]any)) != 1 {
		t.Errorf("got %v, want one", list)
	}
	c.must(204, "POST /devices/gw-1/applyConfigurationContent", "", `{"deviceContent":{"properties.desired.once":true}}`)
	if got, _ := json.Marshal(h.Twin("gw-1").Desired); string(got) != `{"a":2,"once":true}` {
		t.Errorf("got %s", got)
	}
	c.must(204, "DELETE /configurations/roll", "*", "")
	c.must(404, "GET /configurations/roll", "", "")
	if got, _ := json.Marshal(h.Twin("gw-1").Desired); string(got) != `{"once":true}` {
		t.Errorf("got %s, want what was applied once kept", got)
	}
}

func TestAJobIsListedAndCancelledUntilItRuns(t *testing.T) {
	h := start(t, &Hub{})
	c := service(t, h)
	const later = `{"jobId":"later","type":"scheduleUpdateTwin","updateTwin":{"tags":{"a":1}},"queryCondition":"deviceId IN ['gw-1']","startTime":"2099-01-01T00:00:00Z"}`
	if j := c.must(200, "PUT /jobs/v2/later", "", later); j["status"] != "scheduled" || j["deviceJobStatistics"].(map[string]any)["deviceCount"] != 1.0 {
		t.Errorf("got %v, want it scheduled for one device", j)
	}
	c.must(409, "PUT /jobs/v2/later", "", later)
	c.must(200, "PUT /jobs/v2/now", "", strings.NewReplacer("later", "now", `"2099-01-01T00:00:00Z"`, "null").Replace(later))
	for end := time.Now().Add(10 * time.Second); c.must(200, "GET /jobs/v2/now", "", "")["status"] != "completed"; time.Sleep(10 * time.Millisecond) {
		if time.Now().After(end) {
			t.Fatal("the job does not end")
		}
	}
	for query, want := range map[string]int{"": 2, "&jobStatus=completed": 1, "&jobType=scheduleDeviceMethod": 0} {
		if _, list := c.do("GET /jobs/v2/query?api-version=2021-04-12"+query, "", ""); len(list.([]any)) != want {
			t.Errorf("%s: got %v, want %d jobs", query, list, want)
		}
	}
	if j := c.must(200, "POST /jobs/v2/later/cancel", "", ""); j["status"] != "cancelled" {
		t.Errorf("got %v, want it cancelled", j)
	}
	c.must(400, "POST /jobs/v2/now/cancel", "", "")
	c.must(404, "GET /jobs/v2/never", "", "")
}

func TestQueriesSelectColumnsByConditions(t *testing.T) {
	h := start(t, &Hub{})
	c := service(t, h)
	for i, tags := range []string{`{"site":"berlin","floor":1}`, `{"site":"bonn","floor":2}`, `{"site":"bern","ok":true}`} {
		id := fmt.Sprint("gw-", i+1)
		h.AddDevice(id, nil)
		if err := h.Tag(id, []byte(tags)); err != nil {
			t.Fatal(err)
		}
	}
	for where, want := range map[string]string{
		"":                                   "1 2 3",
		"WHERE tags.site IN ['bonn','bern']": "2 3",
		"WHERE tags.site NIN ['bonn']":       "1 3",
		"WHERE tags.floor = 1 OR tags.floor = 2 AND tags.site = 'x'":        "1",
		"WHERE (tags.floor = 1 OR tags.floor = 2) AND tags.site = 'bonn'":   "2",
		"WHERE tags.floor >= 2 or tags.ok = true":                           "2 3",
		"WHERE NOT tags.floor = 1":                                          "2", // what is not there is neither
		"WHERE NOT IS_DEFINED(tags.floor)":                                  "3",
		"WHERE STARTS_WITH(tags.site, 'be') AND deviceId != 'gw-1'":         "3",
		"WHERE tags.site = 'AND OR' OR tags.site = 'bonn'":                  "2",
		"WHERE tags.floor < 'x' OR connectionState = 'Connected'":           "",
		"WHERE tags.site <> 'bonn' AND status = 'enabled' AND tags.ok=true": "3",
	} {
		got, list := c.do("POST /devices/query", "", string(text(t, map[string]string{"query": "SELECT deviceId AS id, tags.site FROM devices " + where})))
		ids := []string{}
		rows, _ := list.([]any)
		for _, row := range rows {
			r, _ := row.(map[string]any)
			if len(r) != 2 || r["site"] == nil {
				t.Errorf("%s: got %v, want the columns id and site", where, r)
			}
			ids = append(ids, strings.TrimPrefix(fmt.Sprint(r["id"]), "gw-"))
		}
		if got != 200 || strings.Join(ids, " ") != want {
			t.Errorf("%s: got %d %v, want %s", where, got, list, want)
		}
	}
	for _, bad := range []string{"", "SELECT", "SELECT * FROM jobs", "SELECT * FROM devices WHERE", "SELECT * FROM devices WHERE tags.a = b'", "SELECT * FROM devices WHERE (tags.a = 1",
		"SELECT * FROM devices WHERE tags.a IN []", "SELECT * FROM devices WHERE DANCE(tags.a)", "SELECT * FROM devices GROUP BY tags.a"} {
		c.must(400, "POST /devices/query", "", string(text(t, map[string]string{"query": bad})))
	}
}

func text(t *testing.T, v any) []byte {
	t.Helper()
	raw, err := json.Marshal(v)
	if err != nil {
		t.Fatal(err)
	}
	return raw
}
