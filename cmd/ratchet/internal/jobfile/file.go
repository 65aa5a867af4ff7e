// Package jobfile reads job files: YAML, JSON or an envelope, with every problem
// and its line. It judges a job as a device does, but for the device's own policy.
package jobfile

import (
	"bytes"
	"cmp"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"os"
	"path/filepath"
	"slices"
	"strings"

	"github.com/ratchetd/ratchet/agent/dialect"
	"github.com/ratchetd/ratchet/executor"
)

// A File is a job file as it was read.
type File struct {
	Name      string
	Text      []byte // JSON, whatever the file holds
	Signature string // of Text; empty unless the file holds a signed envelope

	lines map[string]int // of the fields by their paths, where the file holds YAML
}

// Read reads a job file; the name - reads in. The file may hold YAML or JSON, or
// an envelope with a signature. It is YAML by the end of its name or, without
// one of the usual ends, when it does not begin like JSON.
func Read(file string, in io.Reader) (File, error) {
	f := File{Name: file}
	if file != "-" {
		opened, err := os.Open(file)
		if err != nil {
			return f, fmt.Errorf("reading the job: %w", err)
		}
		defer opened.Close()
		in = opened
	}
	var err error
	if f.Text, err = io.ReadAll(io.LimitReader(in, 4*executor.MaxDocument)); err != nil {
		return f, fmt.Errorf("reading the job: %w", err)
	}
	f.Text = executor.Unmarked(f.Text)
	if isYAML(file, f.Text) {
		f.Text, f.lines, err = FromYAML(f.Text)
	} else if e, bad := dialect.OpenEnvelope(f.Text); bad == nil && e.Signature != "" {
		f.Text, f.Signature = []byte(e.Job), e.Signature
	}
	if err != nil {
		return f, errors.New(f.place(err))
	}
	return f, nil
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

// Job returns the job, or an error that names all problems, a line each.
func (f File) Job() (executor.Job, error) {
	if found := f.Problems(); len(found) > 0 {
		return executor.Job{}, errors.New(strings.Join(found, "\n"))
	}
	return executor.Parse(f.Text)
}

// Problems lists all that is wrong, each with the file's name and its line.
func (f File) Problems() []string {
	found := findProblems(f.Text)
	slices.SortStableFunc(found, func(a, b error) int { return cmp.Compare(f.line(a), f.line(b)) })
	var placed []string
	for _, err := range found {
		placed = append(placed, f.place(err))
	}
	return placed
}

// place puts the file's name and the line before a problem, as one line.
func (f File) place(err error) string {
	at := f.Name
	if line := f.line(err); line > 0 {
		at = fmt.Sprintf("%s:%d", f.Name, line)
	}
	return at + ": " + strings.NewReplacer("\r", " ", "\n", " ").Replace(err.Error())
}

func (f File) line(err error) int {
	var p problem
	var syntax *json.SyntaxError
	switch {
	case errors.As(err, &p) && p.line > 0:
		return p.line
	case errors.As(err, &syntax):
		return 1 + bytes.Count(f.Text[:min(len(f.Text), int(syntax.Offset))], []byte("\n"))
	}
	path, rest, _ := strings.Cut(err.Error(), ": ")
	if field, _, _ := strings.Cut(rest, ": "); f.lines[path+"."+field] > 0 {
		return f.lines[path+"."+field]
	}
	for path != "" && f.lines[path] == 0 { // the field itself may be what is missing
		path = path[:max(0, strings.LastIndexAny(path, ".["))]
	}
	return f.lines[path]
}

// WithID returns the file with another id in its text. A text that is no object
// stays as it is: Job says so.
func (f File) WithID(id string) File {
	if doc, err := Split(f.Text); err == nil {
		f.Text = doc.With("id", id).Text()
	}
	return f
}

// A problem is what is wrong at a line of a file. Line 0 is none in particular.
type problem struct {
	line int
	text string
}

func (p problem) Error() string { return p.text }
