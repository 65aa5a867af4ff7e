// Package data is the kind of step that puts files through a jq program, or groups
// their records, in a process whose memory is bounded.
package data

import (
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"path/filepath"
	"strings"
	"time"
	"unicode/utf8"

	"github.com/ratchetd/ratchet/executor"
	"github.com/ratchetd/ratchet/executor/jq"
	"github.com/ratchetd/ratchet/executor/step/data/aggregate"
	"github.com/ratchetd/ratchet/executor/step/inputs"
	"github.com/ratchetd/ratchet/executor/step/policy"
	"github.com/ratchetd/ratchet/executor/step/process"
	"github.com/ratchetd/ratchet/executor/step/safefile"
)

// Kind is the kind that puts files through a jq program, groups what comes out, or
// both. That is done in a process of its own, whose memory is bounded. What comes out takes its place,
// or is published, only when the whole of it is there. Undo restores what was
// at the output's place; what was published stays published.
type Kind struct {
	Policy policy.Policy
	Files  safefile.Files
	Groups process.Groups // where the worker's group is noted; the zero value notes none

	// Publish sends whole lines, at most MaxPublish bytes of them, as part seq
	// of what the job publishes. It returns when they are sent or ctx has
	// ended. A step that is run again publishes again, from seq 0.
	Publish func(ctx context.Context, job string, seq int, lines []byte) error

	// Worker is the command line of a DataWorker; nil is this program with
	// WorkerArg.
	Worker []string
}

// MaxPublish bounds a part of what is published, so that with a first line that
// names it a message has at most 64 KiB.
const MaxPublish = 63 << 10

type dataWith struct {
	Inputs  []string `json:"inputs"`
	Format  string   `json:"format"`
	JQ      string   `json:"jq"`
	Output  string   `json:"output"`
	Publish bool     `json:"publish"`

	Aggregate *aggregate.Spec `json:"aggregate"` // of what jq gives out or, without jq, of the records

	Delimiter string `json:"delimiter"` // of csv; empty: a comma, or a semicolon where the header leaves no doubt
}

// Check implements executor.Kind.
func (k Kind) Check(with json.RawMessage) error {
	w, err := parseData(with)
	if err != nil || w.Output == "" {
		return err
	}
	return k.Policy.Writable(w.Output)
}

func parseData(with json.RawMessage) (w dataWith, err error) {
	if err := executor.Decode(with, &w); err != nil {
		return w, err
	}
	if err := inputs.CheckPatterns(w.Inputs); err != nil {
		return w, fmt.Errorf("inputs: %w", err)
	}
	switch w.Format {
	case "jsonl", "csv", "text":
	default:
		return w, fmt.Errorf("format: %q: want jsonl, csv or text", w.Format)
	}
	if err := w.checkDelimiter(); err != nil {
		return w, err
	}
	if err := w.checkWork(); err != nil {
		return w, err
	}
	return w, w.checkOutput()
}

// checkWork checks what is to be done with the records.
func (w *dataWith) checkWork() error {
	if w.JQ == "" && w.Aggregate == nil {
		return errors.New("jq: want a program, such as \"inputs\", or aggregate")
	}
	if w.JQ != "" {
		if _, err := jq.CompileProgram(w.JQ, nil); err != nil {
			return fmt.Errorf("jq: %w", err)
		}
	}
	if w.Aggregate != nil {
		if err := w.Aggregate.Check(); err != nil {
			return fmt.Errorf("aggregate.%w", err)
		}
	}
	return nil
}

func (w *dataWith) checkDelimiter() error {
	one, size := utf8.DecodeRuneInString(w.Delimiter)
	switch {
	case w.Delimiter == "":
		return nil
	case w.Format != "csv":
		return fmt.Errorf("delimiter: only csv has one, and format is %s", w.Format)
	case size != len(w.Delimiter) || strings.ContainsRune("\"\r\n\uFFFD", one):
		return fmt.Errorf(`delimiter: %q: want one character, such as ";" or "\t"`, w.Delimiter)
	}
	return nil
}

func (w *dataWith) checkOutput() error {
	if w.Output == "" {
		if !w.Publish {
			return errors.New("want output, publish or both: else nobody sees what comes out")
		}
		return nil
	}
	if err := safefile.CheckPath(w.Output); err != nil {
		return fmt.Errorf("output: %w", err)
	}
	for i, pattern := range w.Inputs {
		if ok, _ := filepath.Match(pattern, w.Output); ok {
			return fmt.Errorf("inputs[%d]: %s matches the output, which a second run would read: write it elsewhere", i, pattern)
		}
	}
	return nil
}

// processing is one attempt at a data step.
type processing struct {
	Kind
	t     *executor.Task
	with  dataWith
	path  string // with.Output, its links followed; empty without one
	files []inputs.File
	undo  safefile.Undo
}

// Run implements executor.Kind.
func (k Kind) Run(ctx context.Context, t *executor.Task) error {
	ctx, cancel := t.Limit(ctx, time.Hour)
	defer cancel()
	s, err := k.begin(t)
	if err != nil {
		return err
	}
	temp, err := s.room()
	if err != nil {
		return err
	}
	sum, err := s.compute(ctx, temp)
	if err == nil && s.with.Publish {
		err = s.publish(ctx, temp)
	}
	if err == nil {
		err = s.keep(temp)
	}
	if err != nil {
		return errors.Join(err, k.Files.RemoveDurably(temp))
	}
	t.Result, err = s.result(sum)
	return err
}

func (s *processing) result(sum dataReport) ([]byte, error) {
	said := map[string]int64{"records": sum.Records, "values": sum.Values, "bytes": sum.Read}
	if s.with.Aggregate != nil {
		said["missing"], said["notNumbers"] = sum.Missing, sum.NotNumbers
	}
	return json.Marshal(said)
}

// begin checks what the step is to do against the device, and changes nothing.
func (k Kind) begin(t *executor.Task) (s *processing, err error) {
	s = &processing{Kind: k, t: t}
	if s.with, err = parseData(t.With); err != nil {
		return nil, err
	}
	if _, err := t.Load(&s.undo); err != nil {
		return nil, err
	}
	if s.with.Publish && k.Publish == nil {
		return nil, errors.New("publish: this agent publishes nothing: leave it out and name an output")
	}
	if s.with.Output != "" {
		if s.path, err = k.Policy.ToWrite(s.with.Output); err != nil {
			return nil, err
		}
	}
	if s.files, err = inputs.Choose(k.Policy, s.with.Inputs, t.Output); err != nil {
		return nil, fmt.Errorf("inputs: %w", err)
	}
	return s, s.notOutput()
}

func (s *processing) save() error { return s.t.Save(&s.undo) }

// room makes the directory in which the values grow, keeps what stands at the
// output's place, and returns the file to write to.
func (s *processing) room() (temp string, err error) {
	if s.path == "" {
		return filepath.Join(s.t.Dir, "values"), s.Files.MakeTaskDir(s.t.Dir)
	}
	if err := s.undo.MakeDirs(s.Files, s.path, s.save); err != nil {
		return "", err
	}
	return safefile.Beside(s.path, "new"), s.undo.Keep(s.Files, s.t.Dir, s.path, s.save)
}

// keep gives the values their place, if they have one.
func (s *processing) keep(temp string) error {
	if s.path == "" {
		return s.Files.Remove(temp)
	}
	want, err := safefile.AttrsFor("", "", *s.undo.Was)
	if err == nil {
		err = s.Policy.Mode(want.Rights())
	}
	if err != nil {
		return err
	}
	return s.Files.Install(temp, s.path, want)
}

// publish sends what temp holds, in parts of whole lines.
func (s *processing) publish(ctx context.Context, temp string) error {
	file, err := safefile.Open(temp)
	if err != nil {
		return err
	}
	defer file.Close()
	buf := make([]byte, MaxPublish)
	have := 0
	for seq := 0; ; seq++ {
		n, err := io.ReadFull(file, buf[have:])
		have += n
		whole := lastLine(buf[:have])
		if err != nil && safefile.NotEnd(err) != nil || whole == 0 {
			return safefile.NotEnd(err)
		}
		if err := s.Publish(ctx, s.t.Job, seq, buf[:whole]); err != nil {
			return fmt.Errorf("publishing part %d: %w", seq, err)
		}
		have = copy(buf, buf[whole:have])
	}
}

// Undo implements executor.Undoer. It needs no parameters: nothing was written
// before it was saved where.
func (k Kind) Undo(_ context.Context, t *executor.Task) error {
	var u safefile.Undo
	if _, err := t.Load(&u); err != nil {
		return err
	}
	return u.Restore(k.Files, t.Dir)
}
