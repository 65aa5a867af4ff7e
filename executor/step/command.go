package step

import (
	"bytes"
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"maps"
	"slices"
	"strings"
	"time"

	"github.com/ratchetd/ratchet/executor"
	"github.com/ratchetd/ratchet/executor/step/policy"
	"github.com/ratchetd/ratchet/executor/step/process"
	"github.com/ratchetd/ratchet/executor/step/safefile"
)

// Command is the kind that runs a program, or a shell script when `shell` is
// used, in a process group of its own. Nothing of the group outlives the step.
// It has no undo and no memory: a rerun begins again, and knows it from
// RATCHET_ATTEMPT.
type Command struct {
	Groups process.Groups // where groups are noted; the zero value notes none
	Policy policy.Policy
	// Trusted says why a program could be somebody else's, or nil. Nil trusts all.
	Trusted func(path string) error
}

type commandWith struct {
	Argv    []executor.Word          `json:"argv"`
	Shell   string                   `json:"shell"`
	Env     map[string]executor.Text `json:"env"`
	Dir     string                   `json:"dir"`
	User    string                   `json:"user"`
	Nice    int                      `json:"nice"`
	Stdin   string                   `json:"stdin"`
	OKCodes []int                    `json:"okCodes"`
	// StderrLines fails the step when there are more lines on stderr.
	StderrLines *int `json:"stderrLines"`
	// Trusted fails the step where others could have changed the program.
	Trusted bool `json:"trusted"`

	argv []string // of the program, or of the shell
}

// Check implements executor.Kind.
func (k Command) Check(with json.RawMessage) error {
	w, err := parseCommand(with)
	if err != nil {
		return err
	}
	return k.permits(w)
}

// permits checks the step against the owner's policy, as far as it is filled in.
func (k Command) permits(w commandWith) error {
	if err := k.Policy.User(w.User); err != nil {
		return err
	}
	for _, name := range slices.Sorted(maps.Keys(w.Env)) {
		if err := k.Policy.Variable(name); err != nil {
			return err
		}
	}
	if len(w.Argv) > 0 && w.Argv[0].Open {
		return nil
	}
	if _, steered := w.Env["PATH"]; steered && k.Policy.Commands != nil && !strings.Contains(w.argv[0], "/") {
		return fmt.Errorf("argv[0]: %s would be looked for in the job's PATH: policy.commands is set, so name the program's whole path", w.argv[0])
	}
	return k.Policy.Command(w.argv)
}

// trusts judges the program as it is now: much may have happened to its file
// since the job was accepted. One that is not there fails by itself.
func (k Command) trusts(w commandWith) error {
	if !w.Trusted || k.Trusted == nil {
		return nil
	}
	program, err := process.LookPath(w.argv[0], []string{"PATH=" + process.SearchPath})
	if err != nil {
		return nil
	}
	return k.Trusted(program)
}

func parseCommand(with json.RawMessage) (w commandWith, err error) {
	if err := executor.Decode(with, &w); err != nil {
		return w, err
	}
	switch {
	case (len(w.Argv) == 0) == (w.Shell == ""):
		return w, errors.New("want exactly one of argv and shell")
	case w.Shell != "":
		w.argv = []string{"/bin/sh", "-c", w.Shell}
	case w.Argv[0].S == "" && !w.Argv[0].Open:
		return w, errors.New("argv[0]: want the name of a program")
	default:
		w.argv, _ = executor.Texts(w.Argv)
	}
	if w.Dir != "" && w.Dir != "/" {
		if err := safefile.CheckPath(w.Dir); err != nil {
			return w, fmt.Errorf("dir: %w", err)
		}
	}
	if w.Nice < -20 || w.Nice > 19 {
		return w, fmt.Errorf("nice: %d: want -20 to 19", w.Nice)
	}
	for i, code := range w.OKCodes {
		if code < 0 || code > 255 {
			return w, fmt.Errorf("okCodes[%d]: %d: want 0 to 255", i, code)
		}
	}
	if w.StderrLines != nil && *w.StderrLines < 0 {
		return w, fmt.Errorf("stderrLines: %d: want 0 or more", *w.StderrLines)
	}
	if w.OKCodes == nil {
		w.OKCodes = []int{0}
	}
	return w, w.checkText()
}

// checkText refuses what execve cannot carry.
func (w *commandWith) checkText() error {
	for i, arg := range w.argv {
		if strings.Contains(arg, "\x00") {
			return fmt.Errorf("argv[%d]: holds a NUL byte", i)
		}
	}
	for name, value := range w.Env {
		if name == "" || strings.ContainsAny(name, "=\x00") || strings.Contains(value.S, "\x00") {
			return fmt.Errorf("env: %q: want a name without = and a value without NUL", name)
		}
	}
	return nil
}

// Run implements executor.Kind.
func (k Command) Run(ctx context.Context, t *executor.Task) error {
	w, err := parseCommand(t.With)
	if err != nil {
		return err
	}
	if err := errors.Join(k.permits(w), k.trusts(w)); err != nil {
		return err
	}
	who, err := process.Identify(w.User)
	if err != nil {
		return err
	}
	ctx, cancel := t.Limit(ctx, time.Hour)
	defer cancel()
	said := &lineCounter{to: t.Err}
	p := process.Program{
		Argv: w.argv, Env: process.Environ(t, who, texts(w.Env)), Dir: w.Dir, Nice: w.Nice, Stdin: w.Stdin,
		As: who.Credential, Stdout: t.Output, Stderr: said, OKCodes: w.OKCodes, Groups: k.Groups, Log: t.Log,
	}
	status, err := p.Run(ctx)
	if err != nil {
		return err
	}
	if err := process.Judge(status, w.OKCodes); err != nil || w.StderrLines == nil || said.lines() <= *w.StderrLines {
		return err
	}
	return fmt.Errorf("%d lines on stderr: at most %d are taken", said.lines(), *w.StderrLines)
}

// lineCounter counts the lines that it passes on; one that does not end counts.
type lineCounter struct {
	to   io.Writer
	n    int
	open bool
}

func (c *lineCounter) Write(p []byte) (int, error) {
	c.n += bytes.Count(p, []byte("\n"))
	if len(p) > 0 {
		c.open = p[len(p)-1] != '\n'
	}
	return c.to.Write(p)
}

func (c *lineCounter) lines() int {
	if c.open {
		return c.n + 1
	}
	return c.n
}

// texts are the values of a map whose Texts are filled in.
func texts(m map[string]executor.Text) map[string]string {
	values := map[string]string{}
	for name, text := range m {
		values[name] = text.S
	}
	return values
}

// Describe implements executor.Describer.
func (k Command) Describe(s executor.Step) executor.Description {
	p := executor.ReadParams(s.With)
	d := executor.Description{
		Places: map[string]executor.Place{"argv": executor.Words, "env": executor.Values},
		Does:   "runs " + strings.Join(p.List("argv"), " "),
		Cut:    "it is run again from its beginning, and told which attempt it is",
		Limit:  "at most 1h",
	}
	if p["shell"] != nil {
		d.Does = "runs in a shell: " + firstLine(p.Text("shell"))
	}
	if p["user"] != nil {
		d.Does += " as " + p.Text("user")
	}
	if s.Confirm != nil {
		d.Warnings = []string{"a command cannot be taken back: confirm can only make it fail"}
	}
	return d
}

func firstLine(text string) string {
	line, more, _ := strings.Cut(strings.TrimSpace(text), "\n")
	if more != "" {
		line += " ..."
	}
	return line
}
