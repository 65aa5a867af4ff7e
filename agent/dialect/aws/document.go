package aws

import (
	"bytes"
	"encoding/json"
	"errors"
	"fmt"
	"slices"
	"strings"

	"github.com/ratchetd/ratchet/agent/dialect"
	"github.com/ratchetd/ratchet/executor"
)

// jobDocument is a job document of AWS: of schema 1.0, or of the older one,
// which is a single handler. Fields that are not known mean nothing.
type jobDocument struct {
	Version    *string     `json:"version"`
	Stdout     truth       `json:"includeStdOut"`
	Conditions []condition `json:"conditions"`
	Steps      []docStep   `json:"steps"`
	FinalStep  *docStep    `json:"finalStep"`

	Operation   string   `json:"operation"`
	Args        []string `json:"args"`
	Path        string   `json:"path"`
	AllowStdErr *count   `json:"allowStdErr"`
}

type condition struct {
	Key   string   `json:"key"`
	Value []string `json:"value"`
	Type  string   `json:"type"`
}

type docStep struct {
	Action docAction `json:"action"`
}

type docAction struct {
	Name          string `json:"name"`
	Type          string `json:"type"`
	RunAsUser     string `json:"runAsUser"`
	IgnoreFailure truth  `json:"ignoreStepFailure"`
	AllowStdErr   *count `json:"allowStdErr"`
	Input         struct {
		Handler string   `json:"handler"`
		Args    []string `json:"args"`
		Path    string   `json:"path"`
		Command *string  `json:"command"`
	} `json:"input"`
}

// A truth is true or false, or the name of it: documents have both.
type truth bool

// UnmarshalJSON implements json.Unmarshaler.
func (f *truth) UnmarshalJSON(data []byte) error {
	switch strings.ToLower(strings.Trim(string(data), `"`)) {
	case "true":
		*f = true
	case "false", "", "null":
		*f = false
	default:
		return fmt.Errorf("%s: want true or false", data)
	}
	return nil
}

// A count is a number, or its digits.
type count int

// UnmarshalJSON implements json.Unmarshaler.
func (c *count) UnmarshalJSON(data []byte) error {
	var n int
	if err := json.Unmarshal([]byte(strings.Trim(string(data), `"`)), &n); err != nil || n < 0 {
		return fmt.Errorf("%s: want a number", data)
	}
	*c = count(n)
	return nil
}

// offer is the execution as a job of ours. A document with `job` is our
// envelope, one whose steps have an `action`, or that has an `operation`, is
// AWS's; any other is ours, and needs no id of its own.
func (d Dialect) offer(e described) dialect.Offer {
	o := dialect.Offer{ID: e.JobID, Key: e.execution().key(), Scope: "device", Begun: e.Status == "IN_PROGRESS"}
	from := jobOrigin{From: fromAWS}
	switch {
	case !executor.ValidID(e.JobID):
		o.Err = fmt.Errorf("jobId: %q: want 1 to 64 of A-Z a-z 0-9 _ -", e.JobID)
	case bytes.Contains(e.Document, []byte("${aws:iot:")):
		o.Err = errors.New("the document holds a ${aws:iot:...} that the service did not fill in: check the job's parameters")
	case isAWS(e.Document):
		o.Text, from.Stdout, o.Err = d.translate(e.JobID, e.Document)
	default:
		o = native(o, e.Document)
	}
	o.Origin = dialect.Marshal(from)
	return o
}

func isAWS(document []byte) bool {
	var shape struct {
		Operation json.RawMessage              `json:"operation"`
		Steps     []map[string]json.RawMessage `json:"steps"`
	}
	if json.Unmarshal(document, &shape) != nil {
		return false
	}
	return shape.Operation != nil || slices.ContainsFunc(shape.Steps, func(s map[string]json.RawMessage) bool { return s["action"] != nil })
}

// native reads a document of ours, bare or in an envelope. A bare one that has
// no id gets the job's.
func native(o dialect.Offer, document []byte) dialect.Offer {
	all := dialect.Members(document)
	if len(all) == 0 {
		o.Err = errors.New(`the document: want a JSON object with steps, or with job for a signed one`)
		return o
	}
	if enveloped := bytes.HasPrefix(all["job"], []byte(`"`)); !enveloped && all["id"] == nil {
		rest := bytes.TrimPrefix(bytes.TrimSpace(document), []byte("{"))
		document = fmt.Appendf(nil, `{"id":%q,%s`, o.ID, rest)
	}
	read, ok := dialect.ReadOffer(o.ID, o.Scope, document).(dialect.Offer)
	if !ok {
		o.Err = errors.New("cancel: cancel the job execution instead")
		return o
	}
	read.Key, read.Begun = o.Key, o.Begun
	return read
}

// translate turns a document of AWS into one of ours.
func (d Dialect) translate(id string, document []byte) (text []byte, stdout bool, err error) {
	var doc jobDocument
	if err := json.Unmarshal(document, &doc); err != nil {
		return nil, false, fmt.Errorf("the document: %w", err)
	}
	switch {
	case doc.Version == nil && doc.Operation != "":
		old := docStep{Action: docAction{Name: doc.Operation, Type: "runHandler", AllowStdErr: doc.AllowStdErr}}
		old.Action.Input.Handler, old.Action.Input.Args, old.Action.Input.Path = doc.Operation, doc.Args, doc.Path
		doc.Steps = []docStep{old}
	case doc.Version == nil || *doc.Version != "1.0":
		return nil, false, errors.New(`version: want "1.0"`)
	case len(doc.Steps) == 0:
		return nil, false, errors.New("steps: want at least one step")
	}
	if err := d.checkConditions(doc.Conditions); err != nil {
		return nil, false, err
	}
	if doc.FinalStep != nil {
		doc.Steps = append(doc.Steps, *doc.FinalStep)
	}
	steps, err := d.steps(doc.Steps)
	if err != nil {
		return nil, false, err
	}
	return dialect.Marshal(map[string]any{"id": id, "steps": steps}), bool(doc.Stdout), nil
}

// checkConditions reports why this device is none that the conditions want.
func (d Dialect) checkConditions(conditions []condition) error {
	for i, c := range conditions {
		is, known := d.Tags[c.Key]
		switch {
		case c.Type != "stringEqual":
			return fmt.Errorf("conditions[%d].type: %q: want stringEqual", i, c.Type)
		case !known:
			return fmt.Errorf("conditions[%d]: %s: this device has no such tag", i, c.Key)
		case !slices.Contains(c.Value, is):
			return fmt.Errorf("conditions[%d]: %s is %q here, want one of %q", i, c.Key, is, c.Value)
		}
	}
	return nil
}

// steps gives every step a name that the job has once.
func (d Dialect) steps(list []docStep) ([]map[string]any, error) {
	var steps []map[string]any
	used := map[string]bool{}
	for i, s := range list {
		some, err := d.action(s.Action)
		if err != nil {
			return nil, fmt.Errorf("steps[%d].action.%w", i, err)
		}
		for _, step := range some {
			step["name"] = fresh(s.Action.Name, used)
			if s.Action.IgnoreFailure {
				step["continueOnFailure"] = true
			}
			steps = append(steps, step)
		}
	}
	return steps, nil
}

func fresh(name string, used map[string]bool) string {
	name = strings.Map(func(r rune) rune {
		if r < ' ' || r == 0x7f {
			return ' '
		}
		return r
	}, name)
	unique := dialect.Head(name, 60)
	for n := 2; used[unique]; n++ {
		unique = fmt.Sprintf("%s %d", dialect.Head(name, 60), n)
	}
	used[unique] = true
	return unique
}

// action is one step of AWS as steps of ours.
func (d Dialect) action(a docAction) ([]map[string]any, error) {
	switch {
	case a.Name == "":
		return nil, errors.New("name: want a name")
	case a.Type == "runHandler" && a.Input.Handler != "":
		return d.handler(a)
	case a.Type == "runHandler":
		return nil, errors.New("input.handler: runHandler needs the name of a handler")
	case a.Type == "runCommand" && a.Input.Command != nil:
		argv, err := splitCommand(*a.Input.Command)
		return []map[string]any{a.run(argv, a.RunAsUser)}, err
	case a.Type == "runCommand":
		return nil, errors.New("input.command: runCommand needs a command")
	}
	return nil, fmt.Errorf("type: %q: want runHandler or runCommand", a.Type)
}

// run is a step that runs a program.
func (a docAction) run(argv []string, user string) map[string]any {
	with := map[string]any{"argv": argv}
	if user != "" {
		with["user"] = user
	}
	if a.AllowStdErr != nil {
		with["stderrLines"] = int(*a.AllowStdErr)
	}
	return map[string]any{"command": with}
}

// splitCommand splits at commas that no backslash precedes. There is no shell.
func splitCommand(command string) ([]string, error) {
	const kept = "\x00"
	if strings.Contains(command, kept) {
		return nil, errors.New("input.command: holds a NUL byte, which no argument can hold")
	}
	var argv []string
	for _, word := range strings.Split(strings.ReplaceAll(command, `\,`, kept), ",") {
		if word != "" {
			argv = append(argv, strings.Trim(strings.ReplaceAll(word, kept, ","), " \t\n\r\v\f"))
		}
	}
	switch {
	case len(argv) == 0 || argv[0] == "":
		return nil, errors.New("input.command: runCommand needs a command")
	case strings.ContainsAny(argv[0], " \t\n\r\v\f"):
		return nil, fmt.Errorf("input.command: %q holds a blank: put commas between a program and its arguments", argv[0])
	}
	return argv, nil
}
