package step

import (
	"cmp"
	"context"
	"encoding/json"
	"fmt"
	"os"
	"path/filepath"
	"regexp"
	"time"

	"github.com/ratchetd/ratchet/executor"
	"github.com/ratchetd/ratchet/executor/step/process"
	"github.com/ratchetd/ratchet/executor/step/safefile"
)

// Plugin is the kind whose work is done by an executable of the owner's, in the
// plugin folder. It is called with a verb as its only argument, gets a JSON
// object on its standard input, and may write JSON lines to descriptor 3; how
// is written down in scripts/plugins. What it saves there is durable before it
// is told so on descriptor 4.
//
// After a cut it is asked first, by the verb verify, whether it was done.
type Plugin struct {
	Dir    string         // the plugin folder; empty is PluginDir
	Groups process.Groups // where groups are noted; the zero value notes none
}

type pluginWith struct {
	Name string          `json:"name"`
	With json.RawMessage `json:"with"`
}

// PluginDir is the plugin folder where a Plugin names none.
const PluginDir = "/usr/lib/ratchet/plugins"

// The verbs that a plugin is called with.
const (
	verbRun    = "run"
	verbUndo   = "undo"
	verbVerify = "verify"
)

// noVerb is the exit status of a plugin that does not know the verb: EX_USAGE.
const noVerb = 64

// Check implements executor.Kind.
func (k Plugin) Check(with json.RawMessage) error {
	_, err := parsePlugin(with)
	return err
}

var pluginName = regexp.MustCompile(`^[A-Za-z0-9][A-Za-z0-9_-]{0,63}$`)

func parsePlugin(with json.RawMessage) (w pluginWith, err error) {
	var p struct {
		Name string         `json:"name"`
		With map[string]any `json:"with"`
	}
	if err := executor.Decode(with, &p); err != nil {
		return w, err
	}
	if !pluginName.MatchString(p.Name) {
		return w, fmt.Errorf("name: %q: want 1 to 64 of A-Z a-z 0-9 _ -, not with - or _ at its beginning", p.Name)
	}
	if err := json.Unmarshal(with, &w); err != nil {
		return w, err
	}
	if p.With == nil {
		w.With = json.RawMessage("{}")
	}
	return w, nil
}

// Run implements executor.Kind.
func (k Plugin) Run(ctx context.Context, t *executor.Task) error {
	ctx, cancel := t.Limit(ctx, time.Hour)
	defer cancel()
	c, err := k.begin(t)
	if err != nil {
		return executor.Refuse(err)
	}
	if t.Attempt > 1 {
		status, err := c.call(ctx, verbVerify)
		if err != nil {
			return err
		}
		if process.Judge(status, []int{0}) == nil {
			fmt.Fprintln(t.Output, "it was done already")
			return nil
		}
	}
	status, err := c.call(ctx, verbRun)
	if err != nil {
		return err
	}
	return process.Judge(status, []int{0})
}

// Undo implements executor.Undoer.
func (k Plugin) Undo(ctx context.Context, t *executor.Task) error {
	c, err := k.begin(t)
	if err != nil {
		return err
	}
	status, err := c.call(ctx, verbUndo)
	if err != nil {
		return err
	}
	if status.Exited() && status.ExitStatus() == noVerb {
		return fmt.Errorf("the plugin %s: %w", c.with.Name, executor.ErrNoUndo)
	}
	return process.Judge(status, []int{0})
}

// begin finds the plugin and what it saved last.
func (k Plugin) begin(t *executor.Task) (*calling, error) {
	w, err := parsePlugin(t.With)
	if err != nil {
		return nil, err
	}
	c := &calling{Plugin: k, t: t, with: w, path: filepath.Join(k.dir(), w.Name)}
	if _, err := t.Load(&c.state); err != nil {
		return nil, err
	}
	for _, path := range []string{k.dir(), c.path} {
		if err := safefile.Trusted(path); err != nil {
			return nil, fmt.Errorf("plugin %s: %w", w.Name, err)
		}
	}
	if _, err := safefile.Owned(c.path); err != nil {
		return nil, fmt.Errorf("plugin %s: %w", w.Name, err)
	}
	info, err := os.Lstat(c.path)
	if err == nil && (!info.Mode().IsRegular() || info.Mode()&0o111 == 0) {
		err = fmt.Errorf("%s is no executable file: a plugin is one, not a link", c.path)
	}
	return c, err
}

func (k Plugin) dir() string { return cmp.Or(k.Dir, PluginDir) }

// Describe implements executor.Describer.
func (k Plugin) Describe(s executor.Step) executor.Description {
	return executor.Description{
		// what a plugin takes is its own: values may stand where the names say it elsewhere
		Places: map[string]executor.Place{"content": executor.One, "url": executor.One, "argv": executor.Words, "validate": executor.Words, "apply": executor.Words, "env": executor.Values, "headers": executor.Values, "uci": executor.Values},
		Does:   "runs the owner's plugin " + executor.ReadParams(s.With).Text("name"),
		Cut:    "the plugin is run again with what it saved",
		Undo:   "by the plugin, if it can",
	}
}
