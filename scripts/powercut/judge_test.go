package main

import (
	"encoding/json"
	"strings"
	"testing"
)

// seen makes events of lines: "ran JOB STEP ATTEMPT" is a mark, else it is a status.
func seen(t *testing.T, lines ...string) (events []event) {
	t.Helper()
	for _, line := range lines {
		if !strings.HasPrefix(line, "{") {
			events = append(events, event{What: marked, Words: strings.Fields(line)})
			continue
		}
		s := &status{}
		if err := json.Unmarshal([]byte(line), s); err != nil {
			t.Fatal(err)
		}
		events = append(events, event{What: told, Job: s.Job, Status: s})
	}
	return events
}

func TestTheJudgeFindsEveryBrokenPromise(t *testing.T) {
	const (
		begun = `{"job":"j","rev":2,"state":"running","steps":[{"name":"s0","state":"running","attempts":1}]}`
		again = `{"job":"j","rev":3,"state":"running","steps":[{"name":"s0","state":"running","attempts":2,"interrupted":1}]}`
		done  = `{"job":"j","rev":4,"state":"succeeded","steps":[{"name":"s0","state":"succeeded","attempts":1}]}`
		ended = `{"job":"j","rev":5,"state":"failed","steps":[{"name":"s0","state":"failed","attempts":1}]}`
	)
	marks := step{name: "s0", kind: "command", marks: true}
	file := step{name: "s0", kind: "file", files: map[string]string{work + "j/f": "sum"}}
	for name, test := range map[string]struct {
		step  step
		lines []string
		files map[string]string
		want  string
	}{
		"nothing":              {marks, []string{begun, "ran j s0 1", done}, nil, ""},
		"cut and run again":    {marks, []string{begun, "ran j s0 1", again, "ran j s0 2", strings.Replace(done, `"attempts":1`, `"attempts":2,"interrupted":1`, 1)}, nil, ""},
		"a job that is lost":   {marks, []string{begun, "ran j s0 1"}, nil, "j never ended: running"},
		"another end":          {marks, []string{"ran j s0 1", done, ended}, nil, "was succeeded, and then failed"},
		"a rev that falls":     {marks, []string{"ran j s0 1", done, begun}, nil, "rev 2 came after 4"},
		"a step done again":    {marks, []string{"ran j s0 1", done, "ran j s0 2"}, nil, "s0 ran again after it was told to be succeeded"},
		"after the end":        {marks, []string{"ran j s0 1", ended, "ran j s0 2"}, nil, "s0 ran after the job was told to be failed"},
		"starts uncounted":     {marks, []string{begun, "ran j s0 1", "ran j s0 1", done}, nil, "ran 2 times, and 1 starts were told"},
		"starts forgotten":     {marks, []string{again, strings.Replace(begun, `"rev":2`, `"rev":4`, 1), done, "ran j s0 1"}, nil, "became 1 and 0"},
		"an attempt of before": {marks, []string{again, "ran j s0 1", done}, nil, "ran with attempt 1 after attempt 2 was told"},
		"never run":            {marks, []string{begun, done}, nil, "succeeded, and never ran"},
		"once, twice":          {step{name: "s0", kind: "command", once: true}, []string{begun, "ran j s0 1", again, "ran j s0 2", ended}, nil, "was to run at most once"},
		"must fail":            {step{name: "s0", kind: "command", fails: true}, []string{done}, nil, "succeeded, and could not"},
		"a file":               {file, []string{done}, map[string]string{work + "j/f": "sum"}, ""},
		"a file that is lost":  {file, []string{done}, nil, "is not what it wrote"},
		"another file":         {file, []string{done}, map[string]string{work + "j/f": "other"}, "is not what it wrote"},
		"a file that stays":    {file, []string{ended}, map[string]string{work + "j/f": "sum"}, "s0 is failed, and " + work + "j/f is there"},
		"a leftover":           {file, []string{done}, map[string]string{work + "j/f": "sum", work + "j/.f.tmp": ""}, ".f.tmp is left"},
		"nothing uploaded":     {step{name: "s0", kind: "upload", puts: "/up"}, []string{done}, nil, "nothing was uploaded"},
		"rejected":             {marks, []string{`{"job":"j","rev":1,"state":"rejected","reason":"why"}`}, nil, "was rejected: why"},
		"twice a minute":       {marks, []string{begun, "ran j s0 1", done, "ran tick@1 s0 1", "ran tick@1 s0 2"}, nil, "tick@1 ran twice"},
	} {
		j := &judge{jobs: map[string]*job{"j": {id: "j", steps: []step{test.step}}}, events: seen(t, test.lines...), files: test.files, uploaded: func(string) bool { return false }}
		found := strings.Join(j.judge(true), "; ")
		if test.want == "" && found != "" || !strings.Contains(found, test.want) {
			t.Errorf("%s: found %q, want %q", name, found, test.want)
		}
	}
}
