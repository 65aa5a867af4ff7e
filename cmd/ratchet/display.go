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

func (s *session) display(asJSON bool) display {
	fd, terminal := isTerminal(s.out)
	switch {
	case asJSON:
		return jsonLines{s.out, s.err}
	case terminal:
		return &bars{out: s.out, fd: fd}
	}
	return &lines{out: s.out, err: s.err, last: map[string]string{}}
}

// jsonLines shows every status as it came.
type jsonLines struct{ out, err io.Writer }

func (j jsonLines) tell(s dialect.JobStatus) { _ = json.NewEncoder(j.out).Encode(s) }
func (j jsonLines) draw([]row)               {}
func (j jsonLines) note(text string)         { fmt.Fprintln(j.err, "ratchet: "+text) }

// lines shows a line for every change that is more than progress.
type lines struct {
	out, err io.Writer
	last     map[string]string // by device
}

func (l *lines) tell(s dialect.JobStatus) {
	if words := headline(s); words != l.last[s.Device] {
		l.last[s.Device] = words
		fmt.Fprintf(l.out, "%s  %s\n", s.Device, words)
	}
}

func (l *lines) draw([]row)       {}
func (l *lines) note(text string) { fmt.Fprintln(l.err, "ratchet: "+text) }
