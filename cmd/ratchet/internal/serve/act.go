package serve

import (
	"bytes"
	"context"
	"crypto/rand"
	"encoding/json"
	"fmt"
	"io"
	"maps"
	"net/http"
	"slices"
	"strings"
	"time"

	"github.com/ratchetd/ratchet/agent/dialect"
	"github.com/ratchetd/ratchet/cmd/ratchet/internal/draft"
	"github.com/ratchetd/ratchet/cmd/ratchet/internal/fleet"
	"github.com/ratchetd/ratchet/cmd/ratchet/internal/link"
	"github.com/ratchetd/ratchet/cmd/ratchet/internal/rollout"
	"github.com/ratchetd/ratchet/cmd/ratchet/internal/serve/guard"
	"github.com/ratchetd/ratchet/cmd/ratchet/internal/serve/memory"
	"github.com/ratchetd/ratchet/executor"
)

// actTime is how long the broker has for one action.
const actTime = time.Minute

// An Order is what somebody wants done. Job is the document, as YAML or JSON, or
// the envelope that --print wrote.
type Order struct {
	Job      string   `json:"job,omitempty"`
	To       []string `json:"to,omitempty"`
	Percent  *float64 `json:"percent,omitempty"`
	Because  string   `json:"because,omitempty"`
	Unsigned bool     `json:"unsigned,omitempty"` // cancel a signed job by a cancel without a signature
}

// maxBecause is how long a reason may be, in bytes.
const maxBecause = 1000

func orderOf(r *http.Request) (o Order, err error) {
	text, err := io.ReadAll(r.Body)
	if err != nil {
		return o, err
	}
	if len(text) > 0 {
		in := json.NewDecoder(bytes.NewReader(text))
		in.DisallowUnknownFields()
		if err := in.Decode(&o); err != nil {
			return o, bad("the body: %v", err)
		}
	}
	if len(o.Because) > maxBecause {
		return o, bad("because: at most %d bytes", maxBecause)
	}
	for _, to := range o.To {
		scope, name, _ := strings.Cut(to, "/")
		if to != "all" && (scope != "device" && scope != "group" || !executor.ValidDevice(name)) {
			return o, bad("to: %q: want device/ID, group/NAME or all", to)
		}
	}
	return o, nil
}

// A Receipt says what was done.
type Receipt struct {
	Job   string   `json:"job"`
	To    []string `json:"to,omitempty"`
	Reach int      `json:"reach,omitempty"` // devices that it reaches now
	Away  int      `json:"away,omitempty"`  // of them
	State string   `json:"state,omitempty"` // of a rollout
}

// noted does what somebody wants, and notes who did what, why and how that went.
func (s *Server) noted(r *http.Request, did, object, because string, do func(context.Context) (Receipt, error)) (any, error) {
	ctx, cancel := context.WithTimeout(context.WithoutCancel(r.Context()), actTime) // who leaves does not take it back
	defer cancel()
	receipt, err := do(ctx)
	a := memory.Action{At: executor.Time{Time: time.Now().UTC()}, Who: guard.Who(r.Context()).Name, Did: did, Object: object, Because: because, Outcome: "done"}
	if receipt.Job != "" {
		a.Object = receipt.Job
	}
	if err != nil {
		a.Outcome = err.Error()
	}
	if noting := s.Memory.Note(ctx, a); noting != nil {
		s.Log.Error("noting an action", "who", a.Who, "did", did, "job", a.Object, "err", noting)
	}
	return receipt, err
}

func (s *Server) submit(r *http.Request) (any, error) {
	o, err := orderOf(r)
	if err != nil {
		return nil, err
	}
	d, err := draft.Read("-", "", strings.NewReader(o.Job))
	if err != nil {
		return nil, bad("job: %v", err)
	}
	if len(o.To) == 0 {
		return nil, bad("to: say whom it is for: device/ID, group/NAME or all")
	}
	if o.Percent != nil && !(*o.Percent >= 0 && *o.Percent <= 100) {
		return nil, bad("percent: want 0 to 100")
	}
	return s.noted(r, "submit", d.ID(), o.Because, func(ctx context.Context) (Receipt, error) { return s.offer(ctx, d, o) })
}

func (s *Server) offer(ctx context.Context, d draft.Draft, o Order) (Receipt, error) {
	var earlier map[string]fleet.Offer
	var waves []byte
	s.Watcher.View(func(f *fleet.Fleet) { earlier, waves = maps.Clone(f.Offers(d.ID())), f.Rollouts()[d.ID()] })
	e, err := d.Seal(draft.Terms{To: o.To, Percent: o.Percent}, earlier)
	if err == nil {
		err = rollout.Beside(d.ID(), waves, e.Rollout)
	}
	if err != nil {
		return Receipt{}, problem{http.StatusConflict, err.Error()}
	}
	receipt := Receipt{Job: d.ID(), To: o.To}
	for _, to := range o.To {
		if err := s.Watcher.Publish(ctx, dialect.Topic{To: to, Name: d.ID()}, e.Payload()); err != nil {
			return receipt, problem{http.StatusServiceUnavailable, err.Error()}
		}
	}
	s.Watcher.View(func(f *fleet.Fleet) {
		j := f.Job(d.ID())
		reach := j.Reach(o.To, j.Rows(time.Now()))
		receipt.Reach, receipt.Away = reach.Devices, reach.Away
	})
	return receipt, nil
}

// cancel ends a job wherever it is offered. What is signed is cancelled where the
// key lies, or by the text that 'ratchet cancel --sign --print' wrote.
func (s *Server) cancel(r *http.Request) (any, error) {
	o, err := orderOf(r)
	if err != nil {
		return nil, err
	}
	id := r.PathValue("job")
	report, there := s.job(id)
	switch {
	case !there:
		return nil, problem{http.StatusNotFound, fmt.Sprintf("no job %q is offered or reported", id)}
	case o.Job == "" && report.Signed && !o.Unsigned:
		return nil, problem{http.StatusConflict, "the job is signed, and devices that want signatures refuse a cancel without one: send as job what 'ratchet cancel " + id + " --sign KEY --to ... --print' writes"}
	}
	to := o.To
	if len(to) == 0 {
		to = slices.Sorted(slices.Values(report.To))
	}
	if len(to) == 0 {
		return nil, bad("to: the job is offered nowhere: say whose it is")
	}
	text := []byte(o.Job)
	if o.Job != "" {
		if given := fleet.ReadOffer(text); given.Err != nil || !given.Cancel || given.Job.ID != id {
			return nil, bad("job: this is no cancel of %s", id)
		}
	}
	return s.noted(r, "cancel", id, o.Because, func(ctx context.Context) (Receipt, error) {
		for _, t := range to {
			payload := text
			if len(payload) == 0 {
				var err error
				if payload, err = draft.Cancel(id, []string{t}, nil); err != nil {
					return Receipt{}, err
				}
			}
			if err := s.Watcher.Publish(ctx, dialect.Topic{To: t, Name: id}, payload); err != nil {
				return Receipt{}, problem{http.StatusServiceUnavailable, err.Error()}
			}
		}
		return Receipt{Job: id, To: to}, nil
	})
}

// changes are what may be done with a rollout.
var changes = []string{"pause", "resume", "next", "abort"}

func (s *Server) changeRollout(r *http.Request) (any, error) {
	o, err := orderOf(r)
	if err != nil {
		return nil, err
	}
	id, do := r.PathValue("job"), r.PathValue("change")
	switch {
	case !slices.Contains(changes, do):
		return nil, problem{http.StatusNotFound, fmt.Sprintf("%q: want pause, resume, next or abort", do)}
	case !executor.ValidID(id):
		return nil, bad("%q is no job id", id)
	}
	who := guard.Who(r.Context()).Name
	return s.noted(r, do, id, o.Because, func(ctx context.Context) (Receipt, error) {
		return s.change(ctx, id, rollout.Change{Do: do, Because: o.Because, By: who})
	})
}

// change writes the rollout by a connection of its own, as every other writer does.
func (s *Server) change(ctx context.Context, id string, c rollout.Change) (Receipt, error) {
	client, err := link.Connect(ctx, s.Watcher.Link)
	if err != nil {
		return Receipt{}, problem{http.StatusServiceUnavailable, err.Error()}
	}
	defer client.Close()
	l := rollout.Ledger{Broker: rollout.At(client), View: rollout.NewView(id), ID: c.By + "/" + strings.ToLower(rand.Text()[:6])}
	if err := client.ReadRetained(ctx, l.Take, fleet.Filters(client.Root(), rollout.Parts(id)...)...); err != nil {
		return Receipt{}, err
	}
	if _, err := l.Document(); err != nil {
		return Receipt{}, problem{http.StatusNotFound, err.Error()}
	}
	if err := l.Change(ctx, c); err != nil {
		return Receipt{}, problem{http.StatusConflict, err.Error()}
	}
	if err := l.Offer(ctx); err != nil {
		return Receipt{}, problem{http.StatusServiceUnavailable, err.Error()}
	}
	d, err := l.Document()
	return Receipt{Job: id, State: string(d.State)}, err
}

// Explained says what a job would do.
type Explained struct {
	Job   string   `json:"job"`
	Lines []string `json:"lines"`
}

func (s *Server) explain(r *http.Request) (any, error) {
	o, err := orderOf(r)
	if err != nil {
		return nil, err
	}
	var e Explained
	if e.Job, e.Lines, err = s.Explain(o.Job); err != nil {
		return nil, bad("job: %v", err)
	}
	return e, nil
}
