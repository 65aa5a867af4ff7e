package main

import (
	"bytes"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"os"
	"path/filepath"
	"strings"

	"github.com/ratchetd/ratchet/agent/dialect"
	"github.com/ratchetd/ratchet/executor"
	"github.com/spf13/cobra"
)

func (s *session) validateCommand() *cobra.Command {
	return &cobra.Command{
		Use:   "validate FILE...",
		Short: "Check job files and name every problem",
		Long: `Validate holds job files (YAML or JSON, - reads standard input) against the
rules that a device applies, and names every problem by its field and, in YAML,
its line. No broker is needed. The exit code is 1 when a file is bad.`,
		Args: cobra.MinimumNArgs(1),
		RunE: func(_ *cobra.Command, args []string) error { return s.validate(args) },
	}
}

func (s *session) validate(files []string) error {
	bad := 0
	for _, file := range files {
		src, err := s.read(file)
		found := src.problems()
		if err != nil {
			found = []string{err.Error()}
		}
		if len(found) == 0 {
			fmt.Fprintf(s.out, "%s: good\n", file)
			s.warn(src)
			continue
		}
		bad++
		fmt.Fprintln(s.out, strings.Join(found, "\n"))
	}
	if bad > 0 {
		return fmt.Errorf("%d of %d files cannot be sent", bad, len(files))
	}
	return nil
}

// warn says what the author of a job that is good may not have meant.
func (s *session) warn(src source) {
	job, err := executor.Parse(src.text)
	if err != nil {
		return
	}
	for _, text := range executor.Warnings(job) {
		fmt.Fprintf(s.out, "%s: warning: %s\n", src.name, printable(text))
	}
}

// A problem is what is wrong at a line of a file; 0 is no line in particular.
type problem struct {
	line int
	text string
}

func (p problem) Error() string { return p.text }

// A source is a job file as JSON, with the lines of its fields if it was YAML.
type source struct {
	name  string
	text  []byte
	lines map[string]int

	signature string // of text, where the file was an envelope
}

// read reads a job file, which may be an envelope. YAML is told by its name, or
// by not beginning like JSON.
func (s *session) read(file string) (source, error) {
	src := source{name: file}
	in := s.in
	if file != "-" {
		f, err := os.Open(file)
		if err != nil {
			return src, fmt.Errorf("reading the job: %w", err)
		}
		defer f.Close()
		in = f
	}
	var err error
	if src.text, err = io.ReadAll(io.LimitReader(in, 4*executor.MaxDocument)); err != nil {
		return src, fmt.Errorf("reading the job: %w", err)
	}
	if isYAML(file, src.text) {
		src.text, src.lines, err = fromYAML(src.text)
	} else if e, bad := dialect.OpenEnvelope(src.text); bad == nil && e.Signature != "" {
		src.text, src.signature = []byte(e.Job), e.Signature
	}
	if err != nil {
		return src, errors.New(src.place(err))
	}
	return src, nil
}

func isYAML(file string, text []byte) bool {
	switch filepath.Ext(file) {
	case ".yaml", ".yml":
		return true
	case ".json":
		return false
	}
	return !bytes.HasPrefix(bytes.TrimSpace(text), []byte("{"))
}

// job is the job, or an error that names all problems, a line each.
func (s source) job() (executor.Job, error) {
	if found := s.problems(); len(found) > 0 {
		return executor.Job{}, errors.New(strings.Join(found, "\n"))
	}
	return executor.Parse(s.text)
}

// problems lists all that is wrong, each with its place.
func (s source) problems() []string {
	var placed []string
	for _, err := range findProblems(s.text) {
		placed = append(placed, s.place(err))
	}
	return placed
}

// place puts the file's name and the line before a problem.
func (s source) place(err error) string {
	if line := s.line(err); line > 0 {
		return fmt.Sprintf("%s:%d: %v", s.name, line, err)
	}
	return fmt.Sprintf("%s: %v", s.name, err)
}

func (s source) line(err error) int {
	var p problem
	var syntax *json.SyntaxError
	switch {
	case errors.As(err, &p) && p.line > 0:
		return p.line
	case errors.As(err, &syntax):
		return 1 + bytes.Count(s.text[:min(len(s.text), int(syntax.Offset))], []byte("\n"))
	}
	path, rest, _ := strings.Cut(err.Error(), ": ")
	if field, _, _ := strings.Cut(rest, ": "); s.lines[path+"."+field] > 0 {
		return s.lines[path+"."+field]
	}
	for path != "" && s.lines[path] == 0 { // the field itself may be what is missing
		path = path[:max(0, strings.LastIndexAny(path, ".["))]
	}
	return s.lines[path]
}
