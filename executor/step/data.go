package step

import (
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"os"
	"path/filepath"
	"time"

	"github.com/ratchetd/ratchet/executor"
)

// Data is the kind that puts files through a jq program. The program runs in a
// process of its own, whose memory is bounded. What comes out takes its place,
// or is published, only when the whole of it is there. Undo restores what was
// at the output's place; what was published stays published.
type Data struct {
	Policy Policy
	Files  Files
	Groups Groups // where the worker's group is noted; the zero value notes none

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
}

// Check implements executor.Kind.
func (k Data) Check(with json.RawMessage) error {
	_, err := parseData(with)
	return err
}

func parseData(with json.RawMessage) (w dataWith, err error) {
	if err := executor.Decode(with, &w); err != nil {
		return w, err
	}
	if err := checkPatterns(w.Inputs); err != nil {
		return w, fmt.Errorf("inputs: %w", err)
	}
	switch w.Format {
	case "jsonl", "csv", "text":
	default:
		return w, fmt.Errorf("format: %q: want jsonl, csv or text", w.Format)
	}
	if w.JQ == "" {
		return w, errors.New("jq: want a program, such as \"inputs\"")
	}
	if _, err := executor.CompileProgram(w.JQ, nil); err != nil {
		return w, fmt.Errorf("jq: %w", err)
	}
	return w, w.checkOutput()
}

func (w *dataWith) checkOutput() error {
	if w.Output == "" {
		if !w.Publish {
			return errors.New("want output, publish or both: else nobody sees what comes out")
		}
		return nil
	}
	if err := checkPath(w.Output); err != nil {
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
	Data
	t    *executor.Task
	with dataWith
	path string // with.Output, its links followed; empty without one
	undo undo
}

// begin reads what the step is to do and where it was. When only the output
// cannot be found, it returns the processing without a path, and an error.
func (k Data) begin(t *executor.Task) (*processing, error) {
	with, err := parseData(t.With)
	if err != nil {
		return nil, err
	}
	s := &processing{Data: k, t: t, with: with}
	if _, err := t.Load(&s.undo); err != nil {
		return nil, err
	}
	if with.Output != "" {
		s.path, err = resolve(with.Output)
	}
	return s, err
}

func (s *processing) save() error { return s.t.Save(&s.undo) }

// Run implements executor.Kind.
func (k Data) Run(ctx context.Context, t *executor.Task) error {
	s, err := k.begin(t)
	if err != nil {
		return err
	}
	if s.with.Publish && k.Publish == nil {
		return errors.New("publish: this agent publishes nothing: leave it out and name an output")
	}
	ctx, cancel := limit(ctx, t, time.Hour)
	defer cancel()
	if s.path == "" {
		return s.run(ctx, filepath.Join(t.Dir, "lines"), func(temp string) error { return k.Files.remove(temp) })
	}
	if err := k.Policy.Writable(s.with.Output); err != nil {
		return err
	}
	return s.run(ctx, beside(s.path, "new"), s.install)
}

// run lets the values grow in temp, and when all are there publishes them and
// calls keep.
func (s *processing) run(ctx context.Context, temp string, keep func(temp string) error) error {
	err := s.room()
	if err != nil {
		return err
	}
	sum, err := s.compute(ctx, temp)
	if err == nil && s.with.Publish {
		err = s.publish(ctx, temp)
	}
	if err == nil {
		err = keep(temp)
	}
	if err != nil {
		return errors.Join(err, s.Files.removeForGood(temp))
	}
	s.t.Result, err = json.Marshal(map[string]int64{"records": sum.Records, "values": sum.Values, "bytes": sum.Read})
	return err
}

// room makes the directory in which the values grow.
func (s *processing) room() error {
	if s.path == "" {
		return s.Files.makeTree(s.t.Dir, 0o700)
	}
	if _, err := look(s.path); err != nil {
		return err
	}
	return s.undo.room(s.Files, s.path, s.save)
}

// install gives the values their place.
func (s *processing) install(temp string) error {
	now, err := look(s.path)
	if err != nil {
		return err
	}
	want, err := wantAttrs("", "", now)
	if err != nil {
		return err
	}
	if err := s.undo.keep(s.Files, s.t, s.path, s.save); err != nil {
		return err
	}
	return s.Files.install(temp, s.path, want)
}

// publish sends what temp holds, in parts of whole lines.
func (s *processing) publish(ctx context.Context, temp string) error {
	file, err := os.Open(temp)
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
		if err != nil && notEnd(err) != nil || whole == 0 {
			return notEnd(err)
		}
		if err := s.Publish(ctx, s.t.Job, seq, buf[:whole]); err != nil {
			return fmt.Errorf("publishing part %d: %w", seq, err)
		}
		have = copy(buf, buf[whole:have])
	}
}

// Undo implements executor.Undoer.
func (k Data) Undo(_ context.Context, t *executor.Task) error {
	s, err := k.begin(t)
	if s == nil {
		return err
	}
	if s.undo.Was != nil {
		s.path = s.undo.Was.Path
	}
	if s.path == "" { // there is none, or it was never found
		return nil
	}
	if err := k.Files.removeForGood(beside(s.path, "new")); err != nil {
		return err
	}
	return s.undo.restore(k.Files, t.Dir)
}
