package jobs

import (
	"encoding/json"
	"errors"
	"regexp"
	"strconv"
	"strings"
	"time"
)

// wire is any request of a device [api].
type wire struct {
	ClientToken   string            `json:"clientToken"`
	Status        string            `json:"status"`
	StatusDetails map[string]string `json:"statusDetails"`
	Expected      json.RawMessage   `json:"expectedVersion"` // a number, or its digits
	Number        int64             `json:"executionNumber"`
	Document      *bool             `json:"includeJobDocument"`
	State         bool              `json:"includeJobExecutionState"`
	StepTimeout   *int64            `json:"stepTimeoutInMinutes"`
}

// failure is an error of the service [errors].
type failure struct {
	code, message string
	execution     *Execution // for InvalidStateTransition and VersionMismatch
}

var jobForm = regexp.MustCompile(`^[a-zA-Z0-9_-]{1,64}$`)

// answer does one request and says what to answer where; nowhere for what is
// no request at all. The lock is held.
func (s *Service) answer(name, topic string, payload []byte, code string) (reply string, body []byte) {
	if topic == "defender/metrics/json" {
		return s.takeReport(name, topic, payload)
	}
	rest, ok := strings.CutPrefix(topic, "jobs/")
	if !ok {
		return "", nil
	}
	var w wire
	bad := json.Unmarshal(payload, &w)
	result, fail := map[string]any{}, (*failure)(nil)
	switch {
	case code != "":
		fail = &failure{code: code, message: "on demand"}
	case bad != nil:
		fail = &failure{code: codeOf(bad), message: bad.Error()}
	case w.invalid() != "":
		fail = &failure{code: "InvalidRequest", message: w.invalid()}
	default:
		result, fail = s.do(name, rest, w)
	}
	if result == nil && fail == nil {
		return "", nil
	}
	if fail != nil {
		result = map[string]any{"code": fail.code, "message": fail.message}
		if fail.execution != nil {
			result["executionState"] = fail.execution.state()
		}
		reply = topic + "/rejected"
	} else {
		reply = topic + "/accepted"
	}
	result["timestamp"] = s.Now().Unix()
	if w.ClientToken != "" {
		result["clientToken"] = w.ClientToken
	}
	return reply, encode(result)
}

// codeOf is the code for a body that could not be read: it is no JSON, or not
// that of a request [errors].
func codeOf(err error) string {
	if errors.As(err, new(*json.UnmarshalTypeError)) {
		return "InvalidRequest"
	}
	return "InvalidJson"
}

const maxToken = 64 // characters of a clientToken [model]

// invalid says what is wrong with a request whatever it is for.
func (w wire) invalid() string {
	switch {
	case len(w.ClientToken) > maxToken:
		return "clientToken is too long"
	case w.StepTimeout != nil && *w.StepTimeout != -1 && (*w.StepTimeout < 1 || *w.StepTimeout > maxMinutes):
		return "stepTimeoutInMinutes" // [model]
	}
	return badDetails(w.StatusDetails)
}

func (e *Execution) state() map[string]any {
	return map[string]any{"status": e.Status, "statusDetails": e.Details, "versionNumber": e.Version}
}

// do is one of the six requests [topics]; nil for what is none.
func (s *Service) do(name, request string, w wire) (map[string]any, *failure) {
	t := s.thing(name)
	job, verb, _ := strings.Cut(request, "/")
	switch {
	case request == "get":
		return s.list(t), nil
	case request == "start-next":
		return s.startNext(name, t, w)
	case verb == "get":
		return s.get(name, t, job, w)
	case verb == "update" && jobForm.MatchString(job):
		return s.update(name, t, job, w)
	case verb == "update":
		return nil, &failure{code: "InvalidTopic", message: job}
	}
	return nil, nil
}

func (s *Service) list(t *thing) map[string]any {
	running, queued := []any{}, []any{}
	for _, e := range t.pending() {
		if e.Status == "IN_PROGRESS" {
			running = append(running, e.summary())
		} else {
			queued = append(queued, e.summary())
		}
	}
	return map[string]any{"inProgressJobs": running, "queuedJobs": queued}
}

// startNext begins the head; one in progress is returned as it is [api].
func (s *Service) startNext(name string, t *thing, w wire) (map[string]any, *failure) {
	pending := t.pending()
	if len(pending) == 0 {
		return map[string]any{}, nil
	}
	e := pending[0]
	if e.Status == "QUEUED" {
		w.Status = "IN_PROGRESS"
		s.apply(e, w)
		s.announce(name, t)
	}
	return map[string]any{"execution": s.describe(name, e, true)}, nil
}

// get describes an execution, or the head of the queue; there is no execution
// in the answer when nothing is pending. One that is over is not described [api, errors].
func (s *Service) get(name string, t *thing, job string, w wire) (map[string]any, *failure) {
	document := w.Document == nil || *w.Document
	if job == "$next" {
		pending := t.pending()
		if len(pending) == 0 {
			return map[string]any{}, nil
		}
		return map[string]any{"execution": s.describe(name, pending[0], document)}, nil
	}
	e := t.find(job, w.Number)
	switch {
	case e == nil:
		return nil, &failure{code: "ResourceNotFound", message: "no such execution"}
	case !e.open():
		return nil, &failure{code: "TerminalStateReached", message: "the execution is " + e.Status}
	}
	return map[string]any{"execution": s.describe(name, e, document)}, nil
}

// update is UpdateJobExecution [api].
func (s *Service) update(name string, t *thing, job string, w wire) (map[string]any, *failure) {
	e := t.find(job, w.Number)
	switch {
	case e == nil:
		return nil, &failure{code: "ResourceNotFound", message: "no such execution"}
	case w.Status != "IN_PROGRESS" && w.Status != "FAILED" && w.Status != "SUCCEEDED" && w.Status != "REJECTED":
		return nil, &failure{code: "InvalidRequest", message: "a device cannot report " + strconv.Quote(w.Status)} // [lifecycle]
	case !e.open(), e.Status == "QUEUED" && (w.Status == "SUCCEEDED" || w.Status == "FAILED"):
		return nil, &failure{"InvalidStateTransition", "the execution is " + e.Status, e} // [lifecycle, errors]
	case len(w.Expected) > 0 && strings.Trim(string(w.Expected), `"`) != strconv.FormatInt(e.Version, 10):
		return nil, &failure{"VersionMismatch", "the version is another one", e}
	}
	s.apply(e, w)
	e.Version++
	if e.open() {
		s.announce(name, t)
	} else {
		s.end(name, t, e, e.Status)
	}
	result := map[string]any{}
	if w.State {
		result["executionState"] = e.state()
	}
	if w.Document != nil && *w.Document {
		result["jobDocument"] = json.RawMessage(s.presign(e.Document))
	}
	return result, nil
}

// apply changes an execution: details are replaced as a whole, or left alone;
// the step's timer is set again or taken away [api].
func (s *Service) apply(e *Execution, w wire) {
	e.set(w.Status, s.Now())
	if w.StatusDetails != nil {
		e.Details = w.StatusDetails
	}
	switch {
	case w.StepTimeout == nil:
	case *w.StepTimeout == -1:
		e.step = time.Time{}
	default:
		e.step = s.Now().Add(time.Duration(*w.StepTimeout) * s.Minute)
	}
}
