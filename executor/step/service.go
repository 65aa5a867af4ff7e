package step

import (
	"bytes"
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"path/filepath"
	"regexp"
	"slices"
	"time"

	"github.com/ratchetd/ratchet/executor"
	"github.com/ratchetd/ratchet/executor/step/policy"
	"github.com/ratchetd/ratchet/executor/step/process"
	"github.com/ratchetd/ratchet/executor/step/safefile"
)

// Service is the kind that starts, stops, restarts, reloads, enables or
// disables a service of systemd or procd, whichever runs the device. What is so
// already is left alone. Undo reverses a start, stop, enable or disable that
// changed something.
//
// It does not judge whether a service does its work: that is a check's.
type Service struct {
	Policy policy.Policy
	Groups process.Groups
	Root   string // where the system's files are found; empty is /
}

const serviceTimeout = 5 * time.Minute

type serviceWith struct {
	Name   string `json:"name"`
	Action string `json:"action"`
}

// serviceSaved is saved before something is changed.
type serviceSaved struct {
	Changed bool   `json:"changed,omitempty"` // the service was not as the action makes it
	Was     string `json:"was,omitempty"`     // what systemd called it before: enabled, indirect, ...
	Agent   agent  `json:"agent,omitzero"`    // that is to be restarted
}

// reverse has every action: of those that leave no state behind it is empty.
var reverse = map[string]string{
	"start": "stop", "stop": "start", "enable": "disable", "disable": "enable", "restart": "", "reload": "",
}

var serviceForm = regexp.MustCompile(`^[A-Za-z0-9_][A-Za-z0-9_.@:\\-]{0,127}$`)

// Check implements executor.Kind.
func (k Service) Check(with json.RawMessage) error {
	w, err := parseService(with)
	if err != nil {
		return err
	}
	return k.Policy.Service(w.Name)
}

func parseService(with json.RawMessage) (w serviceWith, err error) {
	if err := executor.Decode(with, &w); err != nil {
		return w, err
	}
	_, known := reverse[w.Action]
	switch {
	case !serviceForm.MatchString(w.Name):
		return w, fmt.Errorf("name: %q: want the name of a service, of A-Z a-z 0-9 _ . @ : -", w.Name)
	case !known:
		return w, fmt.Errorf("action: %q: want start, stop, restart, reload, enable or disable", w.Action)
	case process.IsAgent(w.Name) && (w.Action == "stop" || w.Action == "disable"):
		return w, fmt.Errorf("action: to %s the agent itself would cut the device off: nobody could start it again from afar", w.Action)
	}
	return w, nil
}

// serving is one attempt at a service step, or at its undo.
type serving struct {
	Service
	t     *executor.Task
	with  serviceWith
	saved serviceSaved
}

func (k Service) begin(t *executor.Task) (*serving, error) {
	with, err := parseService(t.With)
	if err != nil {
		return nil, err
	}
	s := &serving{Service: k, t: t, with: with}
	_, err = t.Load(&s.saved)
	return s, err
}

// Run implements executor.Kind.
func (k Service) Run(ctx context.Context, t *executor.Task) error {
	s, err := k.begin(t)
	if err != nil {
		return err
	}
	ctx, cancel := t.Limit(ctx, serviceTimeout)
	defer cancel()
	now, err := s.look(ctx, s.t, s.with.Name)
	if err != nil {
		return err
	}
	if err := s.reread(ctx, now); err != nil {
		return err
	}
	if process.IsAgent(s.with.Name) && reverse[s.with.Action] == "" {
		return s.restartAgent(ctx)
	}
	so := s.isSo(now)
	if so == yes && !now.settling {
		fmt.Fprintf(t.Output, "%s: nothing to %s\n", s.with.Name, s.with.Action)
		return nil
	}
	if (so == no || so == unknown && s.enables()) && !s.saved.Changed {
		s.saved.Changed, s.saved.Was = true, now.enabling
		if err := t.Save(&s.saved); err != nil {
			return err
		}
	}
	if err := s.Do(ctx, s.with.Action); err != nil {
		return err
	}
	return s.verify(ctx)
}

// verify looks whether the action did its work. What starts may have ended well by
// now, and what a service does is a check's to judge.
func (s *serving) verify(ctx context.Context) error {
	if s.with.Action != "stop" && !s.enables() {
		return nil
	}
	now, err := s.look(ctx, s.t, s.with.Name)
	if err == nil && s.isSo(now) == no {
		err = fmt.Errorf("%s %s: it ended well, and nothing has changed", s.with.Action, s.with.Name)
	}
	return err
}

func (s *serving) enables() bool { return s.with.Action == "enable" || s.with.Action == "disable" }

// Undo implements executor.Undoer.
func (k Service) Undo(ctx context.Context, t *executor.Task) error {
	s, err := k.begin(t)
	if err != nil || !s.saved.Changed {
		return err
	}
	now, err := s.look(ctx, s.t, s.with.Name)
	if err != nil || !s.differs(now) {
		return err
	}
	if err := s.reread(ctx, now); err != nil {
		return err
	}
	if err := s.Do(ctx, reverse[s.with.Action]); err != nil {
		return err
	}
	if now, err = s.look(ctx, s.t, s.with.Name); err == nil && s.enables() && s.differs(now) {
		err = fmt.Errorf("%s: it cannot be taken back that %s made it %q: it was %q", s.with.Name, s.with.Action, now.enabling, s.saved.Was)
	}
	return err
}

// differs reports whether the service is as the action made it, and not as it was.
func (s *serving) differs(now serviceNow) bool {
	if s.enables() && s.saved.Was != "" {
		return now.enabling != s.saved.Was
	}
	return s.isSo(now) == yes
}

// reread has systemd read unit files again where that of the service has changed:
// it would go on with the old one.
func (s *serving) reread(ctx context.Context, now serviceNow) error {
	if !now.stale {
		return nil
	}
	if err := (process.Tool{Argv: []string{s.path("/bin/systemctl"), "daemon-reload"}}).Run(ctx, s.t, s.Groups); err != nil {
		return fmt.Errorf("reading the changed unit of %s: %w", s.with.Name, err)
	}
	return nil
}

// Do does an action, and makes durable what it leaves on the disk.
func (s *serving) Do(ctx context.Context, action string) error {
	argv, err := s.argv(s.with.Name, action)
	if err != nil {
		return err
	}
	if err := (process.Tool{Argv: argv}).Run(ctx, s.t, s.Groups); err != nil {
		return fmt.Errorf("%s %s: %w", action, s.with.Name, err)
	}
	if slices.Contains([]string{"enable", "disable"}, action) {
		return safefile.SyncDisk(filepath.Join("/", s.Root, "etc"))
	}
	return nil
}

// isSo reports whether the service is as the action makes it.
func (s *serving) isSo(now serviceNow) answer {
	switch s.with.Action {
	case "start":
		return now.running
	case "stop":
		return now.running.not()
	case "enable":
		return now.enabled
	case "disable":
		return now.enabled.not()
	}
	return unknown
}

// ask runs a tool for what it says, and how it ends.
func (k Service) ask(ctx context.Context, t *executor.Task, argv ...string) (string, int, error) {
	var out bytes.Buffer
	status, err := process.Tool{Argv: argv, Stdout: &out}.Status(ctx, t, k.Groups, io.Discard)
	if err == nil && status.Signaled() {
		err = errors.New("killed by " + process.SignalName(status.Signal()))
	}
	if err != nil {
		return "", 0, fmt.Errorf("asking %s: %w", filepath.Base(argv[0]), err)
	}
	return out.String(), status.ExitStatus(), nil
}

// Describe implements executor.Describer.
func (k Service) Describe(s executor.Step) executor.Description {
	p := executor.ReadParams(s.With)
	return executor.Description{
		Does: fmt.Sprintf("%ss the service %s", p.Text("action"), p.Text("name")),
		Cut:  "it is run again, which changes nothing",
		Undo: "the service is put back into its earlier state",
	}
}
