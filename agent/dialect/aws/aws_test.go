package aws

import (
	"encoding/json"
	"fmt"
	"reflect"
	"strings"
	"testing"
	"unicode"
	"unicode/utf16"

	"github.com/ratchetd/ratchet/agent/dialect"
	"github.com/ratchetd/ratchet/executor"
)

var thing = Dialect{Thing: "gw-1", Handlers: "/etc/handlers", Replies: true}

// head is a message of the service with a head of the queue.
func headOf(document string) dialect.Message {
	return dialect.Message{Topic: "$aws/things/gw-1/jobs/notify-next", Payload: fmt.Appendf(nil,
		`{"timestamp":1,"execution":{"jobId":"j","status":"QUEUED","queuedAt":1700000000,"executionNumber":2,"jobDocument":%s}}`, document)}
}

// offerOf is the job that a document of the service becomes.
func offerOf(t *testing.T, d Dialect, document string) dialect.Offer {
	t.Helper()
	events := d.Receive(headOf(document))
	if len(events) != 2 {
		t.Fatalf("got %d events, want an offer and what is open", len(events))
	}
	if open, ok := events[1].(dialect.Open); !ok || !reflect.DeepEqual(open.Keys, []string{"aws/j/2/1700000000"}) {
		t.Errorf("got %+v open, want the head", events[1])
	}
	return events[0].(dialect.Offer)
}

func TestBuiltInHandlersAreStepsOfOurs(t *testing.T) {
	for handler, want := range map[string]string{
		`"reboot.sh","path":""`:                                     `{"reboot":{}}`,
		`"install-packages.sh","args":["a b","c"]`:                  `{"package":{"install":["a","b","c"],"refresh":true}}`,
		`"remove-packages.sh","args":["a"],"path":"/none"`:          `{"package":{"remove":["a"]}}`,
		`"restart-services.sh","args":["a b"]`:                      `{"service":{"action":"restart","name":"a"}} {"service":{"action":"restart","name":"b"}}`,
		`"start-services.sh","args":["a"]`:                          `{"service":{"action":"start","name":"a"}}`,
		`"stop-services.sh","args":["a"],"path":"default"`:          `{"service":{"action":"stop","name":"a"}}`,
		`"download-file.sh","args":["https://h/f?x=1&y=2","/tmp/"]`: `{"download":{"owner":"me","to":"/tmp/f","unverified":true,"url":"https://h/f?x=1&y=2"}}`,
		`"download-file.sh","args":["https://h/f"]`:                 `{"command":{"argv":["download-file.sh","me","https://h/f"],"trusted":true}}`,
		`"other.sh","args":["a"],"path":"default"`:                  `{"command":{"argv":["/etc/handlers/other.sh","me","a"],"trusted":true}}`,
		`"reboot.sh","path":"/there"`:                               `{"command":{"argv":["/there/reboot.sh","me"],"trusted":true}}`,
	} {
		d := thing
		d.Handler = func(path string) (bool, error) { return strings.HasPrefix(path, "/there/"), nil }
		o := offerOf(t, d, `{"version":"1.0","steps":[{"action":{"name":"s","type":"runHandler","runAsUser":"me","input":{"handler":`+handler+`}}}]}`)
		var doc struct{ Steps []map[string]json.RawMessage }
		if o.Err != nil || json.Unmarshal(o.Text, &doc) != nil {
			t.Errorf("%s: %v", handler, o.Err)
		}
		var got []string
		for _, s := range doc.Steps {
			delete(s, "name")
			got = append(got, string(dialect.Marshal(s)))
		}
		if strings.Join(got, " ") != want {
			t.Errorf("%s: got %s, want %s", handler, got, want)
		}
		if _, err := executor.Parse(o.Text); err != nil {
			t.Errorf("%s: %v", handler, err)
		}
	}
}

func TestADocumentThatIsNoObjectIsRefusedByName(t *testing.T) {
	for _, document := range []string{`{}`, `null`, `[1]`, `"text"`, `7`} {
		if err := offerOf(t, thing, document).Err; err == nil || !strings.Contains(err.Error(), "want a JSON object with steps") {
			t.Errorf("%s: got %v, want what a document is", document, err)
		}
	}
}

func TestANULInACommandIsRefused(t *testing.T) {
	o := offerOf(t, thing, `{"version":"1.0","steps":[{"action":{"name":"x","type":"runCommand","input":{"command":"echo,a\u0000b"}}}]}`)
	if o.Err == nil || !strings.Contains(o.Err.Error(), "NUL") {
		t.Errorf("got %v of %s, want it refused", o.Err, o.Text)
	}
}

func TestStepsOfTheSameNameAreToldApart(t *testing.T) {
	step := `{"action":{"name":"` + strings.Repeat("n", 80) + `","type":"runCommand","input":{"command":"true"}}}`
	o := offerOf(t, thing, `{"version":"1.0","steps":[`+step+`,`+step+`],"finalStep":`+step+`}`)
	if job, err := executor.Parse(o.Text); err != nil || len(job.Steps) != 3 {
		t.Errorf("got %d steps, %v, want three that a job can hold", len(job.Steps), err)
	}
}

// The documentation has times in seconds and in milliseconds: the same
// execution must be the same job.
func TestAnExecutionIsKnownByAnyUnitOfItsTime(t *testing.T) {
	for _, queued := range []string{"1700000000", "1700000000123", "1700000000.5"} {
		events := thing.Receive(dialect.Message{Topic: "$aws/things/gw-1/jobs/$next/get/accepted",
			Payload: []byte(`{"execution":{"jobId":"j","status":"QUEUED","queuedAt":` + queued + `,"executionNumber":2,"jobDocument":{}}}`)})
		if got, want := events[0].(dialect.Offer).Key, "aws/j/2/1700000000"; got != want {
			t.Errorf("%s: got %s, want %s", queued, got, want)
		}
	}
}

func TestEveryErrorOfTheServiceHasItsMeaning(t *testing.T) {
	closed := func(state executor.State, reason string) any {
		return dialect.Closed{Key: "aws/j/2/7", State: state, Reason: reason}
	}
	for answer, want := range map[string]any{
		`"code":"ResourceNotFound"`:                                               closed("", "the execution was deleted"),
		`"code":"TerminalStateReached"`:                                           closed("", "the execution is over"),
		`"code":"InvalidStateTransition","executionState":{"status":"CANCELED"}`:  closed("", "the execution is CANCELED"),
		`"code":"InvalidStateTransition","executionState":{"status":"SUCCEEDED"}`: closed(executor.Succeeded, "the execution is SUCCEEDED"),
		`"code":"InvalidStateTransition","executionState":{"status":"QUEUED"}`:    "again",
		`"code":"VersionMismatch","executionState":{"status":"IN_PROGRESS"}`:      "again",
		`"code":"RequestThrottled"`:                                               "again",
		`"code":"InternalError"`:                                                  "again",
		`"code":"InvalidRequest"`:                                                 "refused",
		`"code":"InvalidJson"`:                                                    "refused",
		`"code":"InvalidTopic"`:                                                   "refused",
	} {
		events := thing.Receive(dialect.Message{Topic: "$aws/things/gw-1/jobs/j/update/rejected", Payload: []byte(`{"clientToken":"2-7-5",` + answer + `}`)})
		if len(events) != 1 {
			t.Fatalf("%s: got %v", answer, events)
		}
		var got any = events[0]
		if r, ok := got.(dialect.Receipt); ok {
			got = map[bool]string{true: "again", false: "refused"}[r.Again]
			if r.Key != "aws/j/2/7" || r.Rev != 5 || r.Err == nil {
				t.Errorf("%s: got %+v", answer, r)
			}
		}
		if got != want {
			t.Errorf("%s: got %+v, want %+v", answer, got, want)
		}
	}
}

func TestOtherTopicsAreLeftAlone(t *testing.T) {
	for _, topic := range []string{"jobs/notify-next-namespace-aws-gg", "jobs/j/namespace-aws-gg/update/accepted", "jobs/notify", "shadow/get", "jobs/a b/update/accepted"} {
		if got := thing.Receive(dialect.Message{Topic: "$aws/things/gw-1/" + topic, Payload: []byte(`{"clientToken":"2-7-5","execution":{"jobId":"j"}}`)}); got != nil {
			t.Errorf("%s: got %v, want nothing", topic, got)
		}
	}
	if got := thing.Receive(dialect.Message{Topic: "$aws/things/gw-2/jobs/notify-next", Payload: headOf(`{}`).Payload}); got != nil {
		t.Errorf("got %v for another thing", got)
	}
}

// FuzzAWS holds that no message makes the agent crash, that what becomes a job
// has the service's id, and that every detail is one that the service takes.
func FuzzAWS(f *testing.F) {
	f.Add("notify-next", []byte(`{"execution":{"jobId":"j","status":"QUEUED","queuedAt":1,"executionNumber":1,"jobDocument":{"version":"1.0","steps":[{"action":{"name":"a","type":"runCommand","input":{"command":"a,b\\,c"}}}]}}}`), "a\nb\x00€")
	f.Add("j/update/rejected", []byte(`{"clientToken":"1-1-1","code":"InvalidRequest"}`), "")
	f.Add("$next/get/accepted", []byte(`{"execution":{"jobId":"j","jobDocument":{"operation":"echo","args":["x"]}}}`), strings.Repeat("😀", 600))
	f.Fuzz(func(t *testing.T, topic string, payload []byte, text string) {
		for _, e := range thing.Receive(dialect.Message{Topic: "$aws/things/gw-1/jobs/" + topic, Payload: payload}) {
			o, ok := e.(dialect.Offer)
			if !ok || o.Err != nil {
				continue
			}
			if job, err := executor.Parse(o.Text); err == nil && job.ID != o.ID {
				t.Errorf("got a job %q for %q", job.ID, o.ID)
			}
		}
		for _, end := range []bool{true, false} {
			value := detail(text, end)
			bad := strings.ContainsFunc(value, func(r rune) bool { return unicode.Is(unicode.C, r) })
			if n := len(utf16.Encode([]rune(value))); bad || n > maxValue {
				t.Errorf("got %q of %d characters", value, n)
			}
		}
	})
}

// jobOf is a Record of an execution, at its first step.
func jobOf(t *testing.T, state executor.State, document string) executor.Record {
	t.Helper()
	job, err := executor.Parse([]byte(document))
	if err != nil {
		t.Fatal(err)
	}
	return executor.Record{Key: "aws/j/2/7", ID: "j", Rev: 5, State: state, Reason: "why\nso", Job: job,
		Origin: json.RawMessage(`{"from":"aws"}`), Steps: make([]executor.StepRecord, job.Total())}
}

func TestAJobIsReportedAsUpdatesOfItsExecution(t *testing.T) {
	const plain = `{"id":"j","steps":[{"name":"a","command":{"argv":["true"]}}]}`
	const timed = `{"id":"j","steps":[{"name":"a","command":{"argv":["true"]},"timeout":"90s","retry":{"attempts":3,"delay":"1m"}}]}`
	const endless = `{"id":"j","steps":[{"name":"a","command":{"argv":["true"]},"timeout":"100h","retry":{"attempts":2}}]}`
	const where = `"attempt":"0","name":"a","of":"1","reason":"why | so",`
	for name, c := range map[string]struct {
		report dialect.Report
		want   string
	}{
		"queued":        {dialect.Report{Record: jobOf(t, executor.Queued, plain)}, ``},
		"running":       {dialect.Report{Record: jobOf(t, executor.Running, plain)}, `{"status":"IN_PROGRESS","statusDetails":{` + where + `"state":"running","step":"1"},"executionNumber":2,"stepTimeoutInMinutes":62,"clientToken":"2-7-5"}`},
		"with a limit":  {dialect.Report{Record: jobOf(t, executor.Running, timed)}, `{"status":"IN_PROGRESS","statusDetails":{` + where + `"state":"running","step":"1"},"executionNumber":2,"stepTimeoutInMinutes":9,"clientToken":"2-7-5"}`},
		"beyond timers": {dialect.Report{Record: jobOf(t, executor.Running, endless)}, `{"status":"IN_PROGRESS","statusDetails":{` + where + `"state":"running","step":"1"},"executionNumber":2,"stepTimeoutInMinutes":-1,"clientToken":"2-7-5"}`},
		"waiting":       {dialect.Report{Record: jobOf(t, executor.Running, plain), Waiting: "w"}, `{"status":"IN_PROGRESS","statusDetails":{"attempt":"0","name":"a","of":"1","reason":"w","state":"waiting","step":"1"},"executionNumber":2,"stepTimeoutInMinutes":-1,"clientToken":"2-7-5"}`},
		"progress":      {dialect.Report{Record: jobOf(t, executor.Undoing, plain), Progress: 0.25}, `{"status":"IN_PROGRESS","statusDetails":{"attempt":"0","name":"a","of":"1","progress":"0.25","reason":"why | so","state":"undoing","step":"1"},"executionNumber":2,"stepTimeoutInMinutes":-1,"clientToken":"2-7-5"}`},
		"bare":          {dialect.Report{Record: jobOf(t, executor.Failed, plain), Taken: true, Bare: true}, `{"status":"FAILED","executionNumber":2,"clientToken":"2-7-5"}`},
		"cancelled":     {dialect.Report{Record: jobOf(t, executor.Cancelled, plain), Taken: true}, `{"status":"FAILED","statusDetails":{"reason":"why | so","state":"cancelled"},"executionNumber":2,"clientToken":"2-7-5"}`},
		"not begun yet": {dialect.Report{Record: jobOf(t, executor.Succeeded, plain)}, `{"status":"IN_PROGRESS","executionNumber":2,"clientToken":"2-7-5-begin"}`},
		"rejected":      {dialect.Report{Record: jobOf(t, executor.Rejected, plain)}, `{"status":"REJECTED","statusDetails":{"reason":"why | so","state":"rejected"},"executionNumber":2,"clientToken":"2-7-5"}`},
	} {
		got := ""
		for _, m := range thing.Status(c.report) {
			got += string(m.Payload)
			if m.Topic != "$aws/things/gw-1/jobs/j/update" || m.Retain {
				t.Errorf("%s: got it on %s, retained %v", name, m.Topic, m.Retain)
			}
		}
		if got != c.want {
			t.Errorf("%s: got %s, want %s", name, got, c.want)
		}
	}
	local := jobOf(t, executor.Failed, plain)
	local.Key, local.Origin = "j", nil
	if got := thing.Status(dialect.Report{Record: local}); got != nil {
		t.Errorf("got %v of a job of the device's own, want nothing", got)
	}
}
