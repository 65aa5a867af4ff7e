package executor

import (
	"encoding/json"
	"errors"
	"fmt"
	"reflect"
	"strings"
	"testing"
	"time"
)

// example is the document of the manual, in JSON.
const example = `{
	"id": "wifi-2026-11", "description": "new radio settings", "api": 1,
	"target": ".tags.site == \"berlin\" and .board.arch == \"mipsle\"",
	"created": "2026-11-23T09:00:00Z", "spread": "30m", "notBefore": "2026-11-24T00:00:00Z", "expires": "2026-12-24T00:00:00Z",
	"audience": ["group/routers", "device/gw-7", "all"], "window": {"cron": "0 2 * * *", "duration": "2h", "tz": "Europe/Berlin"},
	"require": "any(.health.disk[]; .path == \"/\" and .free > 20000000)", "timeout": "1h", "force": true, "rollout": {"percent": 12.5},
	"steps": [
		{"name": "settings", "config": {"uci": {"a": "36"}}, "confirm": {"within": "3m", "check": {"command": ["iwinfo"]}}},
		{"name": "check", "diagnostic": {}, "timeout": "30s", "retry": {"attempts": 3, "delay": "10s"}, "maxInterruptions": 9},
		{"name": "notify", "when": ".steps.check.output | contains(\"slow\")", "command": {"argv": ["logger"]},
			"ifInterrupted": "verify", "check": {"file": "/tmp/x"}, "continueOnFailure": true, "stream": true}
	],
	"undoOnFailure": true, "onFailure": [{"name": "sorry", "command": {"argv": ["logger", "sorry"]}, "ifInterrupted": "fail"}]
}`

func TestTheManualsExampleIsRead(t *testing.T) {
	j, err := Parse([]byte(example))
	if err != nil {
		t.Fatal(err)
	}
	if j.ID != "wifi-2026-11" || time.Duration(j.Spread) != 30*time.Minute || !j.Force || !j.UndoOnFailure || j.Rollout.Percent != 12.5 ||
		j.Window.TZ != "Europe/Berlin" || j.Expires.Month() != time.December || len(j.Audience) != 3 || j.Total() != 4 {
		t.Errorf("got %+v, want what the document says", j)
	}
	want := Step{Name: "check", Kind: "diagnostic", With: json.RawMessage(`{}`), Timeout: Duration(30 * time.Second),
		Retry: Retry{Attempts: 3, Delay: Duration(10 * time.Second)}, MaxInterruptions: 9}
	if got := j.StepAt(1); !reflect.DeepEqual(got, want) {
		t.Errorf("got step %+v, want %+v", got, want)
	}
	if got := j.StepAt(3); got.Name != "sorry" || got.IfInterrupted != Fail {
		t.Errorf("got %+v behind the steps, want that of onFailure", got)
	}
}

// document is a good one but for what change adds to it and to its one step.
func document(job, step string) string {
	return fmt.Sprintf(`{"id": "j"%s, "steps": [{"name": "a", "command": {}%s}]}`, job, step)
}

func TestABadDocumentIsRefusedByTheNameOfTheField(t *testing.T) {
	many := strings.Repeat(`{"name": "a", "command": {}},`, MaxSteps+1)
	for text, want := range map[string]string{
		``:                                      "ends too early",
		`{`:                                     "ends too early",
		`{"id": "j"`:                            "ends too early",
		`[]`:                                    "object",
		`null`:                                  "id: ",
		`7`:                                     "want an object, got number",
		`true`:                                  "want an object, got bool",
		"id: j\nsteps: []\n":                    "not JSON: it begins with 'i': a device takes jobs as JSON: of YAML ratchet submit FILE",
		"# a comment\nid: j\n":                  "not JSON: it begins with '#'",
		"\uFEFF---\nid: j\n":                    "not JSON: it begins with '-'",
		`{}`:                                    "id: ",
		`{"id": "j"}`:                           "steps: want at least one",
		`{"id": "j", "steps": []}`:              "steps: want at least one",
		`{"id": "j", "steps": {}}`:              "steps: want a list",
		`{"id": "j", "steps": [7]}`:             "steps[0]: want an object",
		`{"id": "j", "steps": [null]}`:          "steps[0]: want an object",
		`{"id": 7, "steps": []}`:                "id: want a string, got number",
		`{"ID": "j", "steps": []}`:              "ID: unknown field",
		`{"id": "j", "Steps": []}`:              "Steps: unknown field",
		`{"id": "j", "onfailure": []}`:          "onfailure: unknown field",
		`{"id": "j", "id": "k"}`:                "id: given twice",
		`{"id": "j", "window": {"x": 1}}`:       "window.x: unknown field",
		`{"id": "j", "steps": [{"name": "a"}]}`: "steps[0]: it names no kind",
		`{"id": "j", "steps": [{"name": "a", "command": {}, "file": {}}]}`:                               "steps[0]: command and file",
		`{"id": "j", "steps": [{"name": "a", "command": {}, "name": "b"}]}`:                              "steps[0].name: given twice",
		`{"id": "j", "steps": [{"name": "a", "command": {"x": 1, "x": 2}}]}`:                             "steps[0].command.x: given twice",
		`{"id": "j", "steps": [{"command": {}}]}`:                                                        "steps[0].name: ",
		`{"id": "j", "steps": [{"name": "a", "command": {}}, {"name": "a", "file": {}}]}`:                "steps[1].name: \"a\" stands twice",
		`{"id": "j", "steps": [{"name": "a", "command": {}}], "onFailure": [{"name": "a", "file": {}}]}`: "onFailure[0].name: \"a\" stands twice",
		`{"id": "j", "steps": [{"name": "a", "command": {}}], "onFailure": [{"name": "b"}]}`:             "onFailure[0]: it names no kind",
		`{"id": "j", "steps": [` + strings.TrimSuffix(many, ",") + `]}`:                                  "steps: 65 in all",
		document(`, "x": 1`, ``):                                                "x: unknown field",
		document(`, "api": 2`, ``):                                              "api: ",
		document(`, "api": -1`, ``):                                             "api: ",
		document(`, "api": 0.5`, ``):                                            "api: want a whole number",
		document(`, "timeout": 60`, ``):                                         "timeout: 60 is no duration",
		document(`, "expires": "tomorrow"`, ``):                                 "expires: \"tomorrow\" is no time",
		document(`, "created": "2026-11-23T09:00:00+01:00"`, ``):                "created: ",
		document(`, "audience": "all"`, ``):                                     "audience: want a list",
		document(`, "audience": ["everybody"]`, ``):                             "audience[0]: ",
		document(`, "audience": ["all", "group/a/b"]`, ``):                      "audience[1]: ",
		document(`, "audience": ["all/x"]`, ``):                                 "audience[0]: ",
		document(`, "window": {"cron": "0 2 * * *"}`, ``):                       "window: ",
		document(`, "window": {"duration": "1h"}`, ``):                          "window: ",
		document(`, "rollout": {"percent": 101}`, ``):                           "rollout.percent: ",
		document(`, "rollout": {"percent": "all"}`, ``):                         "rollout.percent: want a number",
		document(`, "target": "range(9)"`, ``):                                  "target: range/1",
		document(`, "require": ".a |= 1"`, ``):                                  "require: ",
		document(`, "require": ".a["`, ``):                                      "require: not jq at byte",
		document(``, `, "when": "def f: 1; f"`):                                 "steps[0].when: def",
		document(``, `, "when": 1`):                                             "steps[0]: when: want a string",
		document(``, `, "ifInterrupted": "retry"`):                              "steps[0].ifInterrupted: ",
		document(``, `, "ifInterrupted": "verify"`):                             "steps[0].check: ",
		document(``, `, "retry": {"attempts": 101}`):                            "steps[0].retry.attempts: ",
		document(``, `, "retry": {"attempts": -1}`):                             "steps[0].retry.attempts: ",
		document(``, `, "retry": {"attempts": "3"}`):                            "steps[0]: retry.attempts: want a whole number",
		document(``, `, "retry": {"delay": "soon"}`):                            "steps[0]: retry.delay: ",
		document(``, `, "retry": {"times": 3}`):                                 "steps[0]: retry.times: unknown field",
		document(``, `, "maxInterruptions": 101`):                               "steps[0].maxInterruptions: ",
		document(``, `, "confirm": {"within": "0s"}`):                           "steps[0].confirm.within: ",
		document(``, `, "confirm": {"within": "-1s"}`):                          "steps[0]: confirm.within: ",
		document(``, `, "confirm": {"until": "1s"}`):                            "steps[0]: confirm.until: unknown field",
		document(``, `, "timeout": "x"`):                                        "steps[0]: timeout: ",
		document(``, `, "stream": "yes"`):                                       "steps[0]: stream: want true or false",
		document(``, "") + "\x00":                                               "more text after",
		document(`, "description": "`+"\xff"+`"`, ``):                           "UTF-8",
		document(`, "description": "`+strings.Repeat("x", MaxDocument)+`"`, ``): "at most 131072",
		document(``, `, "x": `+strings.Repeat("[", 70)+strings.Repeat("]", 70)): "nested too deeply",
	} {
		_, err := Parse([]byte(text))
		if err == nil || !strings.Contains(err.Error(), want) {
			t.Errorf("%.120s\n got error %v, want %s", text, err, want)
		}
	}
}

func TestAnIdCannotLeaveItsTopic(t *testing.T) {
	for _, id := range []string{"", "a/b", "..", ".", "a.b", "#", "a+", "+", "a b", "é", "a@20261124T030000Z", "a\\n", "a\\u0000", strings.Repeat("x", 65)} {
		_, err := Parse([]byte(strings.Replace(document(``, ``), `"j"`, `"`+id+`"`, 1)))
		if err == nil || !strings.HasPrefix(err.Error(), "id: ") {
			t.Errorf("%q: got error %v, want one that names id", id, err)
		}
	}
	for _, id := range []string{"a", "A-Z_09", strings.Repeat("x", 64)} {
		if !ValidID(id) {
			t.Errorf("%q: got refused, want taken", id)
		}
	}
}

func TestADeviceIsNamedByNoPath(t *testing.T) {
	for name, want := range map[string]bool{
		"gw-7": true, "b827eb000001": true, "a.b_c": true, ".a": true, strings.Repeat("x", 64): true,
		"": false, ".": false, "..": false, "a/b": false, "a#": false, "+": false, "a\n": false, strings.Repeat("x", 65): false,
	} {
		if got := ValidDevice(name); got != want {
			t.Errorf("%q: got %v, want %v", name, got, want)
		}
	}
}

func TestADocumentOfExactlyTheLimitsIsTaken(t *testing.T) {
	var steps []string
	for i := range MaxSteps {
		steps = append(steps, fmt.Sprintf(`{"name": "s%d", "command": {}}`, i))
	}
	text := `{"id": "j", "description": "%s", "steps": [` + strings.Join(steps, ",") + `]}`
	text = fmt.Sprintf(text, strings.Repeat("x", MaxDocument-len(text)+2))
	if j, err := Parse([]byte(text)); err != nil || len(text) != MaxDocument || j.Total() != MaxSteps {
		t.Errorf("got %d steps, %v from %d bytes, want %d from %d", j.Total(), err, len(text), MaxSteps, MaxDocument)
	}
}

// A picky kind takes no parameters.
type picky struct{ Kind }

func (picky) Check(with json.RawMessage) error {
	if string(with) != "{}" {
		return errors.New("argv: want a list")
	}
	return nil
}

func TestEveryStepIsHeldAgainstItsKind(t *testing.T) {
	kinds := Kinds{"command": picky{}}
	for text, want := range map[string]string{
		document(``, ``): "",
		`{"id": "j", "steps": [{"name": "a", "command": {}}, {"name": "b", "comand": {}}]}`:                       `steps[1].comand: no such kind or field; did you mean "command"?`,
		`{"id": "j", "steps": [{"name": "a", "command": 1}]}`:                                                     "steps[0].command: argv: want a list",
		`{"id": "j", "steps": [{"name": "a", "command": {}}], "onFailure": [{"name": "b", "command": {"x": 1}}]}`: "onFailure[0].command: argv: want a list",
	} {
		j, err := Parse([]byte(text))
		if err != nil {
			t.Fatal(err)
		}
		if err := kinds.Check(j); fmt.Sprint(err) != want && (err != nil || want != "") {
			t.Errorf("%s: got %v, want %s", text, err, want)
		}
	}
}

func FuzzParse(f *testing.F) {
	f.Add([]byte(example))
	f.Add([]byte(document(`, "window": {}`, `, "retry": {}`)))
	f.Add([]byte(`{"id": "j", "steps": [{"name": "a", "command": {"x": [1, {"y": null}]}}], "onFailure": [{}]}`))
	f.Add([]byte(`[{"a":1,"a":2}]`))
	f.Fuzz(func(t *testing.T, text []byte) {
		one, err := Parse(text)
		two, again := Parse(text)
		if fmt.Sprint(err) != fmt.Sprint(again) || !reflect.DeepEqual(one, two) {
			t.Errorf("got %+v, %v, then %+v, %v: want the same twice", one, err, two, again)
		}
		if err != nil {
			if err.Error() == "" {
				t.Error("got an error without a text")
			}
			return
		}
		if !ValidID(one.ID) || one.Total() == 0 || one.Total() > MaxSteps || !json.Valid(text) || len(text) > MaxDocument {
			t.Errorf("took %+v, which breaks the limits", one)
		}
		for i := range one.Total() {
			if s := one.StepAt(i); s.Kind == "" || s.Name == "" || !json.Valid(s.With) {
				t.Errorf("took step %+v, which is none", s)
			}
		}
	})
}
