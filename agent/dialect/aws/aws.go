// Package aws is the dialect of AWS IoT Jobs and of Device Defender.
package aws

import (
	"encoding/json"
	"errors"
	"fmt"
	"strconv"
	"strings"

	"github.com/ratchetd/ratchet/agent/dialect"
	"github.com/ratchetd/ratchet/executor"
)

// A Dialect speaks with AWS IoT Jobs, and reports to Device Defender. The
// service hands out one job execution at a time, the head of the thing's queue,
// and takes or refuses each update in a message of its own.
type Dialect struct {
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

// jobOrigin is the Record.Origin of a job from AWS.
type jobOrigin struct {
	From   string `json:"from"`
	Stdout bool   `json:"stdout,omitempty"` // the document wants the output told
}

// An execution is one run of a job on this thing. A job that was deleted and
// made again has another time, one that the service tries again another number.
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
func (d Dialect) Topics() dialect.Topics {
	t := dialect.Topics{Jobs: []string{d.jobs("notify-next")}}
	if d.Replies {
		t.Own = []string{d.jobs("+/get/accepted"), d.jobs("+/get/rejected"), d.jobs("+/update/accepted"), d.jobs("+/update/rejected")}
	}
	if d.Defender {
		t.Own = append(t.Own, d.things("defender/metrics/json/accepted"), d.things("defender/metrics/json/rejected"))
	}
	return t
}

func (d Dialect) things(rest string) string { return "$aws/things/" + d.Thing + "/" + rest }
func (d Dialect) jobs(rest string) string   { return d.things("jobs/" + rest) }

// Connection keeps no session: what counts is asked for after every connect.
func (d Dialect) Connection() dialect.Connection {
	return dialect.Connection{Service: true}
}

// Hello asks for the head of the queue.
func (d Dialect) Hello() []dialect.Message {
	return []dialect.Message{{Topic: d.jobs("$next/get"), Payload: []byte(`{}`)}}
}

// answer is any message of the service.
type answer struct {
	Execution      *described `json:"execution"`
	ClientToken    string     `json:"clientToken"`
	Code           string     `json:"code"`
	Message        string     `json:"message"`
	ExecutionState struct {
		Status string `json:"status"`
	} `json:"executionState"`
}

type described struct {
	JobID           string          `json:"jobId"`
	Document        json.RawMessage `json:"jobDocument"`
	Status          string          `json:"status"`
	QueuedAt        float64         `json:"queuedAt"` // seconds or milliseconds: the documentation has both
	ExecutionNumber int64           `json:"executionNumber"`
}

func (e described) execution() execution {
	queued := e.QueuedAt
	if queued > 1e11 {
		queued /= 1000
	}
	return execution{e.JobID, e.ExecutionNumber, int64(queued)}
}

// Receive tells what a message of the jobs service means.
func (d Dialect) Receive(m dialect.Message) []dialect.Event {
	rest, ok := strings.CutPrefix(m.Topic, d.jobs(""))
	if !ok {
		return d.receiveDefender(m)
	}
	var a answer
	if json.Unmarshal(m.Payload, &a) != nil {
		return nil
	}
	job, reply, _ := strings.Cut(rest, "/")
	switch {
	case rest == "notify-next", job == "$next" && reply == "get/accepted":
		return d.head(a)
	case job == "$next" && reply == "get/rejected":
		return []dialect.Event{dialect.Busy{Err: a.err()}}
	case !executor.ValidID(job):
		return nil
	case reply == "get/accepted":
		return d.described(job, a)
	case reply == "get/rejected":
		return undescribed(job, a)
	case reply == "update/accepted":
		if e, rev, ok := parseToken(job, a.ClientToken); ok {
			return []dialect.Event{dialect.Receipt{Key: e.key(), Rev: rev, Part: strings.HasSuffix(a.ClientToken, ahead)}}
		}
	case reply == "update/rejected":
		return refusal(job, a)
	}
	return nil
}

// head is the execution that is next, or that there is none.
func (d Dialect) head(a answer) []dialect.Event {
	if a.Execution == nil || a.Execution.JobID == "" {
		return []dialect.Event{dialect.Open{From: fromAWS}}
	}
	key := a.Execution.execution().key()
	if final(a.Execution.Status) {
		return []dialect.Event{dialect.Closed{Key: key, State: stateOf(a.Execution.Status), Reason: reasonOf(a.Execution.Status)}, dialect.Open{From: fromAWS}}
	}
	return []dialect.Event{d.offer(*a.Execution), dialect.Open{From: fromAWS, Keys: []string{key}}}
}

// described is how one execution stands, which was asked about by its token.
func (d Dialect) described(job string, a answer) []dialect.Event {
	asked, _, ok := parseToken(job, a.ClientToken)
	if !ok || a.Execution == nil {
		return nil
	}
	switch is := a.Execution.execution(); {
	case is != asked:
		return []dialect.Event{dialect.Closed{Key: asked.key(), Reason: "there is another execution of the job"}}
	case final(a.Execution.Status):
		return []dialect.Event{dialect.Closed{Key: asked.key(), State: stateOf(a.Execution.Status), Reason: reasonOf(a.Execution.Status)}}
	}
	return []dialect.Event{d.offer(*a.Execution)}
}

func undescribed(job string, a answer) []dialect.Event {
	asked, _, ok := parseToken(job, a.ClientToken)
	switch {
	case !ok:
		return nil
	case a.Code == "ResourceNotFound" || a.Code == "TerminalStateReached":
		return []dialect.Event{dialect.Closed{Key: asked.key(), State: stateOf(a.ExecutionState.Status), Reason: a.gone()}}
	}
	return []dialect.Event{dialect.Busy{Err: a.err()}}
}

// refusal is what the service's error code asks the device to do.
func refusal(job string, a answer) []dialect.Event {
	e, rev, ok := parseToken(job, a.ClientToken)
	if !ok {
		return nil
	}
	r := dialect.Receipt{Key: e.key(), Rev: rev, Err: a.err()}
	status := a.ExecutionState.Status
	switch a.Code {
	case "ResourceNotFound", "TerminalStateReached":
		return []dialect.Event{dialect.Closed{Key: e.key(), State: stateOf(status), Reason: a.gone()}}
	case "InvalidStateTransition":
		if status == "" || final(status) {
			return []dialect.Event{dialect.Closed{Key: e.key(), State: stateOf(status), Reason: a.gone()}}
		}
		r.Again = true
	case "InvalidRequest", "InvalidJson", "InvalidTopic":
	default: // RequestThrottled, InternalError, VersionMismatch, and what may be new
		r.Again = true
	}
	return []dialect.Event{r}
}

func (a answer) err() error { return errors.New(strings.TrimSpace(a.Code + ": " + a.Message)) }

// gone says why an execution is over.
func (a answer) gone() string {
	switch {
	case a.ExecutionState.Status != "":
		return reasonOf(a.ExecutionState.Status)
	case a.Code == "ResourceNotFound":
		return "the execution was deleted"
	}
	return "the execution is over"
}

func reasonOf(status string) string { return "the execution is " + status }

func final(status string) bool { return status != "QUEUED" && status != "IN_PROGRESS" }

// stateOf is a state that a device tells; empty for those of the service.
func stateOf(status string) executor.State {
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

var _ dialect.Dialect = Dialect{}
