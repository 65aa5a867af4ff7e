package serve

import (
	"bytes"
	"context"
	"encoding/json"
	"fmt"
	"io"
	"log/slog"
	"net/http"
	"net/http/httptest"
	"net/url"
	"os"
	"path/filepath"
	"strings"
	"testing"
	"time"

	"github.com/ratchetd/ratchet/agent/dialect"
	"github.com/ratchetd/ratchet/cmd/ratchet/internal/broker"
	"github.com/ratchetd/ratchet/cmd/ratchet/internal/fleet"
	"github.com/ratchetd/ratchet/cmd/ratchet/internal/link"
	"github.com/ratchetd/ratchet/cmd/ratchet/internal/serve/guard"
	"github.com/ratchetd/ratchet/cmd/ratchet/internal/serve/memory"
	"github.com/ratchetd/ratchet/cmd/ratchet/internal/serve/watch"
)

const (
	chief  = "admin-token-01234567890"
	looker = "viewer-token-0123456789"
)

// A stage is a server that watches a broker, and a client that says what devices
// say.
type stage struct {
	t       *testing.T
	server  *Server
	handler http.Handler
	device  *link.Client
}

// say is what one device says.
func (s *stage) say(device, part, name, payload string) {
	s.t.Helper()
	publish := s.device.Publish
	if part == "health" {
		publish = s.device.PublishOnce
	}
	if err := publish(s.t.Context(), dialect.Topic{Device: device, Part: part, Name: name}, []byte(payload)); err != nil {
		s.t.Fatal(err)
	}
}

// staged starts a server over what first says.
func staged(t *testing.T, first func(*stage)) *stage {
	t.Helper()
	url, stop, err := broker.Start()
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(stop)
	dir := t.TempDir()
	m, err := memory.Open(t.Context(), filepath.Join(dir, "serve.db"))
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { m.Close() })
	o := link.Options{Broker: url, Root: "ratchet/v1"}
	s := &stage{t: t}
	if s.device, err = link.Connect(t.Context(), o); err != nil {
		t.Fatal(err)
	}
	t.Cleanup(s.device.Close)
	first(s)
	file := filepath.Join(dir, "tokens")
	if err := os.WriteFile(file, []byte("admin anna "+chief+"\nviewer board "+looker+"\n"), 0o600); err != nil {
		t.Fatal(err)
	}
	tokens, err := guard.ReadTokens(file, "")
	if err != nil {
		t.Fatal(err)
	}
	log := slog.New(slog.DiscardHandler)
	s.server = &Server{Watcher: &watch.Watcher{Link: o, Memory: m, Log: log}, Memory: m, Log: log, Guard: &guard.Guard{Tokens: tokens, Port: "7788"}, DeviceLimit: 2}
	if s.handler, err = s.server.handler(); err != nil {
		t.Fatal(err)
	}
	ctx, cancel := context.WithCancel(context.Background())
	done := make(chan error, 1)
	go func() { done <- s.server.Watcher.Run(ctx) }()
	t.Cleanup(func() { cancel(); <-done })
	s.until("connection", func() bool { return s.server.Watcher.Status().Connected })
	return s
}

// until waits for what must come.
func (s *stage) until(what string, so func() bool) {
	s.t.Helper()
	for late := time.After(time.Minute); ; {
		changed := s.server.Watcher.Changed()
		if so() {
			return
		}
		select {
		case <-changed:
		case <-late:
			s.t.Fatalf("no %s within a minute", what)
		}
	}
}

// ask sends a request with a token, and reads the JSON of its answer into v.
func (s *stage) ask(method, path, token, body string, v any) int {
	s.t.Helper()
	r := httptest.NewRequest(method, "http://127.0.0.1:"+s.server.Guard.Port+path, strings.NewReader(body))
	r.Header.Set("Authorization", "Bearer "+token)
	w := httptest.NewRecorder()
	s.handler.ServeHTTP(w, r)
	if text, ok := v.(*string); ok {
		*text = w.Body.String()
	} else if err := json.Unmarshal(w.Body.Bytes(), v); err != nil && err != io.EOF {
		s.t.Fatalf("%s %s: %d %s: %v", method, path, w.Code, w.Body, err)
	}
	return w.Code
}

func fewDevices(s *stage) {
	for i := range 5 {
		id := fmt.Sprint("gw-", i)
		s.say(id, "facts", "", fmt.Sprintf(`{"device":%q,"agent":"v1.%d.0","tags":{"site":"s%d"},"board":{"model":"Pi"}}`, id, i%2, i%2))
		s.say(id, "state", "", fmt.Sprintf(`{"online":%v,"since":"2026-11-30T10:00:00Z","agent":"v1.%d.0"}`, i > 0, i%2))
	}
	s.say("gw-1", "alerts", "disk", `{"state":"raised","severity":"critical","since":"2026-11-30T11:00:00Z","value":93,"rule":"x"}`)
	s.say("gw-1", "jobs", "wifi", `{"state":"failed","rev":4,"reason":"step one: no space left","steps":[{"name":"one","state":"failed"}]}`)
	s.say("gw-2", "jobs", "wifi", `{"state":"succeeded","rev":4}`)
}

type devicePage struct {
	Items          []DeviceLine
	Next, Complete string
	Error          string
}

func TestDevicesComeByPagesEachOnce(t *testing.T) {
	s := staged(t, fewDevices)
	var ids []string
	cursor := ""
	for range 10 {
		var p devicePage
		if code := s.ask("GET", "/api/v1/devices?limit=2&cursor="+cursor, looker, "", &p); code != 200 || p.Complete != "complete" {
			t.Fatalf("got %d %+v", code, p)
		}
		for _, d := range p.Items {
			ids = append(ids, d.Device)
		}
		if cursor = p.Next; cursor == "" {
			break
		}
	}
	if got := strings.Join(ids, " "); got != "gw-0 gw-1 gw-2 gw-3 gw-4" {
		t.Errorf("got %s", got)
	}
}

func TestWherePicksAndSaysWhatIsWrong(t *testing.T) {
	s := staged(t, fewDevices)
	for where, want := range map[string]string{
		`site=s1 state=online`:            "gw-1 gw-3",
		`.tags.site == "s0"`:              "gw-0 gw-2 gw-4",
		`any(.alerts[]; .name == "disk")`: "gw-1",
	} {
		var p devicePage
		s.ask("GET", "/api/v1/devices?where="+url.QueryEscape(where), looker, "", &p)
		var ids []string
		for _, d := range p.Items {
			ids = append(ids, d.Device)
		}
		if got := strings.Join(ids, " "); got != want {
			t.Errorf("%s: got %s, want %s", where, got, want)
		}
	}
	for _, path := range []string{"/devices?where=.a%20==", "/devices?limit=501", "/devices?limit=x", "/jobs?cursor=!", "/jobs?where=def%20f:f;f", "/jobs?where=def%20f:f%3Bf", "/health?device=a/b", "/health?device=gw-1&span=1s", "/actions?cursor=YQ"} {
		var p devicePage
		if code := s.ask("GET", "/api/v1"+path, looker, "", &p); code != 400 || p.Error == "" {
			t.Errorf("%s: got %d %+v, want 400 and why", path, code, p)
		}
	}
}

func TestAJobIsSubmittedAndCancelledAndBothAreNoted(t *testing.T) {
	s := staged(t, fewDevices)
	order, _ := json.Marshal(Order{Job: "id: radio\nsteps:\n- name: one\n  command: {argv: [\"true\"]}\n", To: []string{"all"}, Because: "ticket 7"})
	var receipt Receipt
	if code := s.ask("POST", "/api/v1/jobs", chief, string(order), &receipt); code != 200 || receipt.Job != "radio" || receipt.Reach != 5 || receipt.Away != 1 {
		t.Fatalf("got %d %+v", code, receipt)
	}
	var refused struct{ Error string }
	for body, want := range map[string]string{`{"to":["all"],"job":"id: x"}`: "steps", `{"to":["x"],"job":""}`: "to:", `{"x":1}`: "unknown field", `{"to":["all"],"job":"id: radio\nsteps:\n- name: two\n  reboot: {}\n"}`: "radio"} {
		if code := s.ask("POST", "/api/v1/jobs", chief, body, &refused); code < 400 || code > 409 || !strings.Contains(refused.Error, want) {
			t.Errorf("%s: got %d %q, want %q", body, code, refused.Error, want)
		}
	}
	if code := s.ask("POST", "/api/v1/jobs/radio/cancel", looker, "", &refused); code != 403 {
		t.Errorf("a viewer cancels: %d", code)
	}
	if code := s.ask("POST", "/api/v1/jobs/radio/cancel", chief, `{"because":"wrong channel"}`, &receipt); code != 200 {
		t.Fatalf("got %d %+v", code, receipt)
	}
	f, err := fleet.Read(t.Context(), s.device, fleet.Offers("radio"))
	if err != nil || !f.Offers("radio")["all"].Cancel {
		t.Errorf("the broker keeps no cancel: %v", err)
	}
	var actions struct{ Items []memory.Action }
	s.ask("GET", "/api/v1/actions", looker, "", &actions)
	var said []string
	for _, a := range actions.Items {
		said = append(said, a.Who+" "+a.Did+" "+a.Object+" "+a.Because)
	}
	if got := strings.Join(said, "; "); got != "anna cancel radio wrong channel; anna submit radio ; anna submit radio ticket 7" {
		t.Errorf("got %s", got)
	}
}

func TestAJobIsNotSubmittedBeyondTheWavesOfItsRollout(t *testing.T) {
	s := staged(t, func(s *stage) {
		fewDevices(s)
		s.say("", dialect.Rollouts, "radio", `{"job":"radio","digest":"x","to":["all"],"state":"paused","wave":0,"waves":[{"percent":1},{"percent":100}],"soak":"0s",`+
			`"gates":{"abortAbove":2,"minAnswers":80,"within":"2h"},"since":"2026-11-24T10:00:00Z","base":{},"rev":1,"by":"ben","history":[{"at":"2026-11-24T10:00:00Z","by":"ben","did":"started"}]}`)
	})
	order, _ := json.Marshal(Order{Job: "id: radio\nsteps:\n- name: one\n  command: {argv: [\"true\"]}\n", To: []string{"all"}})
	var refused struct{ Error string }
	if code := s.ask("POST", "/api/v1/jobs", chief, string(order), &refused); code != 409 || !strings.Contains(refused.Error, "a rollout of radio is paused in wave 1 of 2 (1 %)") {
		t.Errorf("got %d %q", code, refused.Error)
	}
}

func TestASignedJobIsNotCancelledWithoutASignature(t *testing.T) {
	s := staged(t, func(s *stage) {
		text := []byte(`{"job":"{\"id\":\"sealed\",\"steps\":[{\"name\":\"a\",\"reboot\":{}}]}","signature":"untrusted comment: x\nRWQ"}`)
		if err := s.device.Publish(s.t.Context(), dialect.Topic{To: "all", Name: "sealed"}, text); err != nil {
			s.t.Fatal(err)
		}
	})
	var refused struct{ Error string }
	if code := s.ask("POST", "/api/v1/jobs/sealed/cancel", chief, "", &refused); code != 409 || !strings.Contains(refused.Error, "--sign KEY") {
		t.Errorf("got %d %q", code, refused.Error)
	}
	if code := s.ask("POST", "/api/v1/jobs/sealed/cancel", chief, `{"job":"{\"id\":\"other\",\"cancel\":true}"}`, &refused); code != 400 {
		t.Errorf("another job's cancel: got %d %q", code, refused.Error)
	}
}

func TestTheDescriptionIsWhatIsAnswered(t *testing.T) {
	s := staged(t, fewDevices)
	var d struct {
		Paths map[string]map[string]struct {
			Responses map[string]struct {
				Content map[string]struct{ Schema object }
			}
		}
	}
	if code := s.ask("GET", "/api/v1/openapi.json", looker, "", &d); code != 200 || len(d.Paths) < 10 {
		t.Fatalf("got %d and %d paths", code, len(d.Paths))
	}
	for path, methods := range d.Paths {
		get, ok := methods["get"]
		if !ok {
			continue
		}
		asked := strings.NewReplacer("{device}", "gw-1", "{job}", "wifi").Replace(path)
		if strings.HasSuffix(path, "/health") {
			asked += "?device=gw-1"
		}
		var answer any
		if code := s.ask("GET", asked, looker, "", &answer); code != 200 {
			t.Errorf("%s: %d %v", asked, code, answer)
		}
		for _, why := range differs(get.Responses["200"].Content["application/json"].Schema, answer, path) {
			t.Error(why)
		}
	}
}

// differs names what an answer has that its schema does not.
func differs(schema object, answer any, at string) (all []string) {
	switch v := answer.(type) {
	case map[string]any:
		properties, _ := schema["properties"].(map[string]any)
		for name, member := range v {
			s, ok := properties[name].(map[string]any)
			if more, any := schema["additionalProperties"].(map[string]any); any {
				s, ok = more, true
			}
			if ok {
				all = append(all, differs(s, member, at+"."+name)...)
			} else if len(schema) > 0 {
				all = append(all, at+"."+name+" is not described")
			}
		}
	case []any:
		items, _ := schema["items"].(map[string]any)
		for _, item := range v {
			all = append(all, differs(items, item, at+"[]")...)
		}
	}
	return all
}

func TestMetricsAreWellFormedAndCountEachDeviceOnce(t *testing.T) {
	s := staged(t, func(s *stage) {
		fewDevices(s)
		s.say("gw-3", "facts", "", `{"board":{"model":"a\"b\\c\nd"},"agent":"v\"1"}`)
	})
	s.server.DeviceMetrics, _ = fleet.ParseQuery()
	for _, id := range []string{"gw-1", "gw-3"} {
		s.say(id, "health", "", `{"cpu":{"percent":25},"disk":[{"percent":10},{"percent":90}]}`)
	}
	s.until("sample", func() (all bool) {
		s.server.Watcher.View(func(f *fleet.Fleet) { all = f.Device("gw-3").Health != nil })
		return all
	})
	for _, accept := range []string{"", openMetrics + ";version=1.0.0"} {
		r := httptest.NewRequest("GET", "http://127.0.0.1:7788/metrics", nil)
		r.Header.Set("Authorization", "Bearer "+looker)
		r.Header.Set("Accept", accept)
		w := httptest.NewRecorder()
		s.handler.ServeHTTP(w, r)
		text := w.Body.String()
		for _, want := range []string{
			`ratchet_devices{state="online"} 4`, `ratchet_devices{state="offline"} 1`, `ratchet_devices{state="stale"} 0`,
			`ratchet_job_devices{job_id="wifi",state="failed"} 1`, `ratchet_alerts{name="disk",severity="critical"} 1`,
			`ratchet_device_cpu_ratio{device="gw-1"} 0.25`, `ratchet_device_disk_ratio{device="gw-1"} 0.9`,
			`board="a\"b\\c\nd"`, "ratchet_device_series_limited 0", "ratchet_broker_connected 1",
		} {
			if !strings.Contains(text, want) {
				t.Errorf("no %s", want)
			}
		}
		if why := malformed(text); why != "" {
			t.Errorf("%s in:\n%s", why, text)
		}
		if strings.Contains(text, " info\n") != (accept != "") || strings.HasSuffix(text, "# EOF\n") != (accept != "") {
			t.Errorf("asked for %q, got:\n%s", accept, text)
		}
	}
}

// malformed says what is wrong with an exposition: a family begun twice, a sample
// of none, no end.
func malformed(text string) string {
	families, family := map[string]bool{}, ""
	for line := range strings.Lines(text) {
		line = strings.TrimSuffix(line, "\n")
		switch name, _, _ := strings.Cut(strings.TrimPrefix(line, "# TYPE "), " "); {
		case strings.HasPrefix(line, "# TYPE "):
			if families[name] {
				return name + " stands there twice"
			}
			families[name], family = true, name
		case strings.HasPrefix(line, "# HELP "+family+" "), line == "# EOF":
		case !strings.HasPrefix(line, family):
			return "a sample out of its family: " + line
		case strings.Count(strings.ReplaceAll(strings.ReplaceAll(line, `\\`, ""), `\"`, ""), `"`)%2 != 0:
			return "an open quote: " + line
		}
	}
	return ""
}

func TestHealthComesAsRowsWithItsColumns(t *testing.T) {
	s := staged(t, fewDevices)
	s.say("gw-1", "health", "", fmt.Sprintf(`{"time":%q,"cpu":{"percent":25}}`, time.Now().UTC().Format(time.RFC3339)))
	var h HealthReport
	s.until("sample", func() bool {
		s.ask("GET", "/api/v1/health?device=gw-1&span=1h", looker, "", &h)
		return len(h.Rows) == 1
	})
	if got, _ := json.Marshal(h.Rows[0][1:3]); !bytes.Equal(got, []byte("[25,null]")) || h.Columns[1] != "cpu" {
		t.Errorf("got %s under %v", got, h.Columns)
	}
}
