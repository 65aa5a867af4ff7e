package dialect

import (
	"encoding/json"
	"errors"
	"fmt"
	"strconv"
	"strings"

	"github.com/ratchetd/ratchet/executor"
)

// AWS is AWS IoT Jobs, and Device Defender for what the board feels. The
// service hands out one job execution at a time, the head of the thing's queue,
// and takes or refuses each update in a message of its own.
type AWS struct {
	Thing    string
	Tags     map[string]string // what the conditions of a document see
	Handlers string            // the folder of job handlers
	Replies  bool              // subscribe to the answers too: AWS sends them in any case, other brokers do not
	Defender bool              // the answers of Device Defender too
	// Handler reports whether a file of that folder is there, or why it may not
	// be run. Nil: there is none.
	Handler func(path string) (bool, error)
	// User says why there is no such user here. Nil: all are there.
	User func(name string) error
}

const fromAWS = "aws"

// awsOrigin is the Record.Origin of a job from AWS.
type awsOrigin struct {
	origin
	Stdout bool `json:"stdout,omitempty"` // the document wants the output told
}

// An execution is one run of a job on this thing. A job that was deleted and
// made anew has another time, one that the service tries again another number.
type execution struct {
	job    string
	number int64
	queued int64 // unix seconds
}

// key is the execution's Record.Key. It holds no @, which is for firings.
func (e execution) key() string {
	return fmt.Sprintf("%s/%s/%d/%d", fromAWS, e.job, e.number, e.queued)
}

func executionOf(key string) (execution, bool) {
	parts := strings.Split(key, "/")
	if len(parts) != 4 || parts[0] != fromAWS {
		return execution{}, false
	}
	number, err := strconv.ParseInt(parts[2], 10, 64)
	queued, bad := strconv.ParseInt(parts[3], 10, 64)
	return execution{parts[1], number, queued}, err == nil && bad == nil
}

// token is a clientToken, which the service sends back: from it alone an answer
// tells which Record it is for, and which rev.
func (e execution) token(rev uint64) string { return fmt.Sprintf("%d-%d-%d", e.number, e.queued, rev) }

// ahead marks the token of what is told only because it must come first.
const ahead = "-begin"

func parseToken(job, token string) (e execution, rev uint64, ok bool) {
	e.job = job
	token = strings.TrimSuffix(token, ahead)
	n, err := fmt.Sscanf(token, "%d-%d-%d", &e.number, &e.queued, &rev)
	return e, rev, n == 3 && err == nil && e.token(rev) == token
}

// Topics are those of this thing's jobs; topics of namespaced jobs, which are
// for other programs, are left alone.
func (d AWS) Topics() Topics {
	t := Topics{Jobs: []string{d.jobs("notify-next")}}
	if d.Replies {
		t.Own = []string{d.jobs("+/get/accepted"), d.jobs("+/get/rejected"), d.jobs("+/update/accepted"), d.jobs("+/update/rejected")}
	}
	if d.Defender {
		t.Own = append(t.Own, d.things("defender/metrics/json/accepted"), d.things("defender/metrics/json/rejected"))
	}
	return t
}

func (d AWS) things(rest string) string { return "$aws/things/" + d.Thing + "/" + rest }
func (d AWS) jobs(rest string) string   { return d.things("jobs/" + rest) }

// Connection keeps no session: what counts is asked for after every connect.
func (d AWS) Connection() Connection { return Connection{Clean: true, Receipts: true, Asks: true} }

// Hello asks for the head of the queue.
func (d AWS) Hello() []Message {
	return []Message{{Topic: d.jobs("$next/get"), Payload: []byte(`{}`)}}
}

// awsAnswer is any message of the service.
type awsAnswer struct {
	Execution      *awsExecution `json:"execution"`
	ClientToken    string        `json:"clientToken"`
	Code           string        `json:"code"`
	Message        string        `json:"message"`
	ExecutionState struct {
		Status string `json:"status"`
	} `json:"executionState"`
}

type awsExecution struct {
	JobID           string          `json:"jobId"`
	Document        json.RawMessage `json:"jobDocument"`
	Status          string          `json:"status"`
	QueuedAt        float64         `json:"queuedAt"` // seconds or milliseconds: the documentation has both
	ExecutionNumber int64           `json:"executionNumber"`
}

func (e awsExecution) execution() execution {
	queued := e.QueuedAt
	if queued > 1e11 {
		queued /= 1000
	}
	return execution{e.JobID, e.ExecutionNumber, int64(queued)}
}

// Receive tells what a message of the jobs service means.
func (d AWS) Receive(m Message) []Event {
	rest, ok := strings.CutPrefix(m.Topic, d.jobs(""))
	if !ok {
		return d.receiveDefender(m)
	}
	var a awsAnswer
	if json.Unmarshal(m.Payload, &a) != nil {
		return nil
	}
	job, reply, _ := strings.Cut(rest, "/")
	switch {
	case rest == "notify-next", job == "$next" && reply == "get/accepted":
		return d.head(a)
	case job == "$next" && reply == "get/rejected":
		return []Event{Busy{Err: a.err()}}
	case !executor.ValidID(job):
		return nil
	case reply == "get/accepted":
		return d.described(job, a)
	case reply == "get/rejected":
		return undescribed(job, a)
	case reply == "update/accepted":
		if e, rev, ok := parseToken(job, a.ClientToken); ok {
			return []Event{Receipt{Key: e.key(), Rev: rev, Part: strings.HasSuffix(a.ClientToken, ahead)}}
		}
	case reply == "update/rejected":
		return refusal(job, a)
	}
	return nil
}

// head is the execution that is next, or that there is none.
func (d AWS) head(a awsAnswer) []Event {
	if a.Execution == nil || a.Execution.JobID == "" {
		return []Event{Open{From: fromAWS}}
	}
	key := a.Execution.execution().key()
	if awsFinal(a.Execution.Status) {
		return []Event{Closed{Key: key, State: awsState(a.Execution.Status), Reason: awsReason(a.Execution.Status)}, Open{From: fromAWS}}
	}
	return []Event{d.offer(*a.Execution), Open{From: fromAWS, Keys: []string{key}}}
}

// described is how one execution stands, which was asked about by its token.
func (d AWS) described(job string, a awsAnswer) []Event {
	asked, _, ok := parseToken(job, a.ClientToken)
	if !ok || a.Execution == nil {
		return nil
	}
	switch is := a.Execution.execution(); {
	case is != asked:
		return []Event{Closed{Key: asked.key(), Reason: "there is another execution of the job"}}
	case awsFinal(a.Execution.Status):
		return []Event{Closed{Key: asked.key(), State: awsState(a.Execution.Status), Reason: awsReason(a.Execution.Status)}}
	}
	return []Event{d.offer(*a.Execution)}
}

func undescribed(job string, a awsAnswer) []Event {
	asked, _, ok := parseToken(job, a.ClientToken)
	switch {
	case !ok:
		return nil
	case a.Code == "ResourceNotFound" || a.Code == "TerminalStateReached":
		return []Event{Closed{Key: asked.key(), State: awsState(a.ExecutionState.Status), Reason: a.gone()}}
	}
	return []Event{Busy{Err: a.err()}}
}

// refusal is what the service's error code asks the device to do.
func refusal(job string, a awsAnswer) []Event {
	e, rev, ok := parseToken(job, a.ClientToken)
	if !ok {
		return nil
	}
	r := Receipt{Key: e.key(), Rev: rev, Err: a.err()}
	status := a.ExecutionState.Status
	switch a.Code {
	case "ResourceNotFound", "TerminalStateReached":
		return []Event{Closed{Key: e.key(), State: awsState(status), Reason: a.gone()}}
	case "InvalidStateTransition":
		if status == "" || awsFinal(status) {
			return []Event{Closed{Key: e.key(), State: awsState(status), Reason: a.gone()}}
		}
		r.Again = true
	case "InvalidRequest", "InvalidJson", "InvalidTopic":
	default: // RequestThrottled, InternalError, VersionMismatch, and what may be new
		r.Again = true
	}
	return []Event{r}
}

func (a awsAnswer) err() error { return errors.New(strings.TrimSpace(a.Code + ": " + a.Message)) }

// gone says why an execution is over.
func (a awsAnswer) gone() string {
	switch {
	case a.ExecutionState.Status != "":
		return awsReason(a.ExecutionState.Status)
	case a.Code == "ResourceNotFound":
		return "the execution was deleted"
	}
	return "the execution is over"
}

func awsReason(status string) string { return "the execution is " + status }

func awsFinal(status string) bool { return status != "QUEUED" && status != "IN_PROGRESS" }

// awsState is a state that a device tells; empty for those of the service.
func awsState(status string) executor.State {
	switch status {
	case "SUCCEEDED":
		return executor.Succeeded
	case "FAILED":
		return executor.Failed
	case "REJECTED":
		return executor.Rejected
	}
	return ""
}

var _ Dialect = AWS{}
