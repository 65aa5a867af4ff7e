package agent

import (
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"net/http"
	"time"

	"github.com/ratchetd/ratchet/agent/dialect"
	"github.com/ratchetd/ratchet/agent/intake"
	"github.com/ratchetd/ratchet/agent/link"
	"github.com/ratchetd/ratchet/agent/local"
	"github.com/ratchetd/ratchet/executor"
)

// callPatience is how long a call may take: its caller waits for five seconds at least.
const callPatience = 4 * time.Second

// maxCalls is how many calls are answered at a time: each may wait, and holds what
// came with it.
const maxCalls = 8

// maxBrief is how many jobs the status of the agent tells a caller of.
const maxBrief = 32

// outcome is what a caller hears of a job.
type outcome struct {
	ID     string         `json:"id"`
	State  executor.State `json:"state"`
	Rev    uint64         `json:"rev"`
	Reason string         `json:"reason"`
}

// takeCall has a call answered beside what else comes. Where there are too many its
// caller hears so at once.
func (a *Agent) takeCall(ctx context.Context, s *link.Session, c dialect.Call) {
	select {
	case a.calls <- struct{}{}:
		s.Go(func() {
			defer func() { <-a.calls }()
			a.call(ctx, s, c)
		})
	default:
		a.answerCall(s, c, http.StatusTooManyRequests, problem("", fmt.Errorf("%d calls are being answered: ask again", maxCalls)))
	}
}

// call answers a caller who waits. All that it may do is idempotent by the
// job's id: a caller who got no answer asks again.
func (a *Agent) call(ctx context.Context, s *link.Session, c dialect.Call) {
	ctx, cancel := context.WithTimeout(ctx, callPatience)
	defer cancel()
	status, answer := a.perform(ctx, s, c)
	a.answerCall(s, c, status, answer)
}

func (a *Agent) answerCall(s *link.Session, c dialect.Call, status int, answer any) {
	body, err := json.Marshal(answer)
	if err != nil {
		status, body = http.StatusInternalServerError, []byte("{}")
	}
	s.Send(a.config.Load().Dialect().Tell(dialect.Answer{To: c, Status: status, Body: body}))
}

func (a *Agent) perform(ctx context.Context, s *link.Session, c dialect.Call) (int, any) {
	var asked struct {
		ID string `json:"id"`
	}
	_ = json.Unmarshal(c.Payload, &asked) // each method says itself what it misses
	if !a.remembers(ctx, s) {
		return http.StatusServiceUnavailable, problem(asked.ID, errors.New("the device still reads back what it told earlier: ask again"))
	}
	switch c.Method {
	case "job":
		return a.callJob(ctx, c.Payload)
	case "cancel":
		return a.callCancel(asked.ID)
	case "status":
		return a.callStatus(asked.ID)
	case "diagnose", "reboot":
		return a.callStep(ctx, c.Method, asked.ID, c.Payload)
	}
	return http.StatusNotFound, problem("", fmt.Errorf("there is no method %q: want job, cancel, status, diagnose or reboot", c.Method))
}

// remembers waits until a new journal has its past: who called would not call
// again only because he was early.
func (a *Agent) remembers(ctx context.Context, s *link.Session) bool {
	if a.db.New() {
		select {
		case <-s.Opened():
		case <-ctx.Done():
		}
	}
	return !a.db.New()
}

func problem(id string, err error) outcome {
	return outcome{ID: id, State: executor.Rejected, Reason: err.Error()}
}

// callJob takes a job, or the signed cancel of one, by the rules of the twin.
func (a *Agent) callJob(ctx context.Context, payload []byte) (int, any) {
	e, err := dialect.OpenEnvelope(payload)
	if err != nil {
		return http.StatusBadRequest, problem("", err)
	}
	var head struct {
		ID string `json:"id"`
	}
	if err := json.Unmarshal(executor.Unmarked([]byte(e.Job)), &head); err != nil || !executor.ValidID(head.ID) {
		return http.StatusBadRequest, problem("", errors.New("want a job with an id, bare or in an envelope"))
	}
	switch read := dialect.ReadOffer(head.ID, "device", payload).(type) {
	case dialect.Cancel:
		if err := a.intake.Cancel(read); err != nil {
			return http.StatusForbidden, problem(head.ID, err)
		}
		return a.after(head.ID, http.StatusAccepted)
	case dialect.Offer:
		return a.callOffer(ctx, read)
	}
	return http.StatusBadRequest, problem(head.ID, errors.New("want a job"))
}

func (a *Agent) callOffer(ctx context.Context, o dialect.Offer) (int, any) {
	o.Origin = dialect.OriginOf(dialect.FromCall)
	_, known, err := a.db.Known(o.ID)
	if err == nil {
		err = a.intake.Offer(ctx, o, true)
	}
	switch {
	case err == nil && known:
		return a.after(o.ID, http.StatusOK)
	case err == nil:
		return a.after(o.ID, http.StatusAccepted)
	case ctx.Err() != nil:
		return http.StatusServiceUnavailable, problem(o.ID, err)
	case errors.Is(err, intake.ErrReused):
		return http.StatusConflict, problem(o.ID, err)
	case errors.Is(err, intake.ErrNotForUs):
		return http.StatusPreconditionFailed, problem(o.ID, err)
	case errors.Is(err, intake.ErrNoRoom):
		return http.StatusServiceUnavailable, problem(o.ID, err)
	}
	return http.StatusBadRequest, problem(o.ID, err)
}

// after is how the job is now.
func (a *Agent) after(id string, status int) (int, any) {
	j, err := a.job(id)
	if err != nil { // it is no job yet, or is known by its last line only
		return status, outcome{ID: id}
	}
	return status, outcome{id, j.State, j.Rev, j.Reason}
}

func (a *Agent) callCancel(id string) (int, any) {
	if !dialect.Cancellable(id) {
		return http.StatusBadRequest, problem(id, errors.New(`want the job's id: {"id": "..."}`))
	}
	if err := a.intake.Cancel(dialect.Cancel{ID: id, Service: true}); err != nil {
		return http.StatusForbidden, problem(id, err)
	}
	j, err := a.job(id)
	if err == nil && j.State.Final() {
		return a.after(id, http.StatusOK)
	}
	return a.after(id, http.StatusAccepted)
}

// callStatus tells one job whole, or how the agent and the board are.
func (a *Agent) callStatus(id string) (int, any) {
	if id == "" {
		return http.StatusOK, a.brief()
	}
	j, err := a.job(id)
	if err != nil {
		return http.StatusNotFound, problem(id, err)
	}
	return http.StatusOK, json.RawMessage(j.Encode())
}

// brief is how the agent is, within the 128 KB of an answer: its jobs without
// what their steps said, which the status of each tells, and no more than fit.
func (a *Agent) brief() local.Status {
	st := a.status()
	st.Jobs = st.Jobs[:min(len(st.Jobs), maxBrief)]
	for i := range st.Jobs {
		st.Jobs[i].Steps, st.Jobs[i].Warnings = nil, nil
	}
	return st
}

// kindOf is the kind of the one step that a method stands for.
var kindOf = map[string]string{"diagnose": "diagnostic", "reboot": "reboot"}

// callStep runs a job of one step, whose parameters are the rest of the payload.
func (a *Agent) callStep(ctx context.Context, method, id string, payload []byte) (int, any) {
	if !executor.ValidID(id) {
		return http.StatusBadRequest, problem(id, errors.New("id: want one of A-Z a-z 0-9 _ -, so that asking twice does it once"))
	}
	var with map[string]json.RawMessage
	if err := json.Unmarshal(payload, &with); err != nil {
		return http.StatusBadRequest, problem(id, err)
	}
	delete(with, "id")
	text, err := json.Marshal(map[string]any{"id": id, "steps": []any{map[string]any{"name": method, kindOf[method]: with}}})
	if err != nil {
		return http.StatusBadRequest, problem(id, err)
	}
	return a.callOffer(ctx, dialect.Offer{ID: id, Scope: "device", Text: text})
}
