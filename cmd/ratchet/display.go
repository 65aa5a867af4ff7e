package main

import (
	"encoding/json"
	"fmt"
	"io"

	"github.com/ratchetd/ratchet/agent/dialect"
)

// A display shows a job as it goes on: tell gets every status as it comes, draw
// how all devices stand now and then, note what else there is to say.
type display interface {
	tell(dialect.JobStatus)
	draw([]row)
	note(string)
}

// display is the one that suits where s.out leads. Notes beside a list go to notes.
func (s *session) display(asJSON bool, notes io.Writer) display {
	fd, terminal := isTerminal(s.out)
	switch {
	case asJSON:
		return jsonLines{s.out, notes}
	case terminal:
		return &bars{out: s.out, fd: fd}
	}
	return &lines{out: s.out, notes: notes, last: map[string]string{}}
}

// jsonLines shows every status as it came.
type jsonLines struct{ out, notes io.Writer }

func (j jsonLines) tell(s dialect.JobStatus) { _ = json.NewEncoder(j.out).Encode(s) }
func (j jsonLines) draw([]row)               {}
func (j jsonLines) note(text string)         { fmt.Fprintln(j.notes, text) }

// lines shows a line for every change that is more than progress.
type lines struct {
	out, notes io.Writer
	last       map[string]string // by device
}

func (l *lines) tell(s dialect.JobStatus) {
	if words := headline(s); words != l.last[s.Device] {
		l.last[s.Device] = words
		fmt.Fprintf(l.out, "%s  %s\n", s.Device, words)
	}
}

func (l *lines) draw([]row)       {}
func (l *lines) note(text string) { fmt.Fprintln(l.notes, text) }
