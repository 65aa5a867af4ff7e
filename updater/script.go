package updater

import (
	"context"
	"encoding/json"
	"fmt"
	"os"
	"strconv"
	"strings"
)

// scriptState is what the verb state prints.
type scriptState struct {
	Version string `json:"version"`
	Board   string `json:"board"`
	Slot    string `json:"slot"`
	Slots   int    `json:"slots"`
	Stream  bool   `json:"stream"` // install takes - for stdin
	Next    string `json:"next"`   // the slot that boots next; empty is not said
	Trial   bool   `json:"trial"`  // the running system is not final yet
}

// A script is an executable of the owner's with the verbs state, check FILE,
// install FILE, confirm and rollback SLOT.
type script struct{ *Board }

func (b script) found() bool { return b.Script != "" && executable(b.Script) }

func (b script) backend(ctx context.Context) (*Backend, error) {
	s, err := b.read(ctx)
	if err != nil {
		return nil, err
	}
	back := &Backend{
		Name: "script", Slots: s.Slots > 1, Why: "its script says that it has one slot",
		State: b.state,
		Test: func(ctx context.Context, i Image) error {
			_, err := b.do(ctx, Call{Argv: []string{b.Script, "check", i.Path}, Env: b.env(i)})
			return err
		},
		Install: b.install, Pending: b.pending, Confirm: b.confirm,
		Next: func(ctx context.Context) (string, error) {
			now, err := b.read(ctx)
			return now.Next, err
		},
		Rollback: func(ctx context.Context, slot string) error {
			_, err := b.ask(ctx, b.Script, "rollback", slot)
			return err
		},
	}
	if s.Stream {
		back.Stream = func(ctx context.Context, i Image, r *os.File) error {
			_, err := b.do(ctx, Call{Argv: []string{b.Script, "install", "-"}, Env: b.env(i), Stdin: r, Line: func(string) {}})
			return err
		}
	}
	return back, nil
}

func (b script) read(ctx context.Context) (s scriptState, err error) {
	out, err := b.ask(ctx, b.Script, "state")
	if err != nil {
		return s, err
	}
	if err := json.Unmarshal([]byte(out), &s); err != nil {
		return s, fmt.Errorf(`%s state: want one JSON object such as {"version":"1.0","slot":"A","slots":2}: %w`, b.Script, err)
	}
	if s.Slots > 1 && s.Slot == "" {
		return s, fmt.Errorf("%s state: slots is %d, so want slot too: the one that runs", b.Script, s.Slots)
	}
	return s, nil
}

// state believes the script alone: what it does not say is not known.
func (b script) state(ctx context.Context) (System, error) {
	s, err := b.read(ctx)
	return System{Versions: names(nil).add(s.Version), Boards: names(nil).add(s.Board), Slot: s.Slot}, err
}

func (b script) pending(ctx context.Context) (string, error) {
	s, err := b.read(ctx)
	if err == nil && s.Trial {
		return "its script says that the running system is on trial", nil
	}
	return "", err
}

// confirm takes no exit status for proof where the script can be asked.
func (b script) confirm(ctx context.Context, _ bool) error {
	if _, err := b.ask(ctx, b.Script, "confirm"); err != nil {
		return err
	}
	s, err := b.read(ctx)
	if err == nil && s.Trial {
		err = fmt.Errorf("%s confirm ends well, and %s state still says that the system is on trial", b.Script, b.Script)
	}
	return err
}

func (b script) env(i Image) map[string]string {
	return map[string]string{
		"RATCHET_STATE":   b.Dir,
		"RATCHET_VERSION": i.Version, "RATCHET_SIZE": strconv.FormatInt(i.Size, 10),
		"RATCHET_KEEP_SETTINGS": map[bool]string{false: "1", true: "0"}[i.Reset],
	}
}

func (b script) install(ctx context.Context, i Image, progress func(float64)) error {
	_, err := b.do(ctx, Call{Argv: []string{b.Script, "install", i.Path}, Env: b.env(i), Line: func(line string) {
		if text, ok := strings.CutPrefix(line, "progress "); ok {
			if f, err := strconv.ParseFloat(text, 64); err == nil {
				progress(f)
			}
		}
	}})
	return err
}
