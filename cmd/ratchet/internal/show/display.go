// Package show is how the tool writes what it knows: tables, JSON, a job under
// way, and what of a text may reach a terminal.
package show

import (
	"encoding/json"
	"fmt"
	"io"
	"os"

	"github.com/ratchetd/ratchet/agent/dialect"
	"github.com/ratchetd/ratchet/cmd/ratchet/internal/fleet"
	"golang.org/x/term"
)

// Job is the display that suits where out leads: bars on a terminal, a line for
// each change elsewhere, or a JSON object for each status. Notes beside a list
// go to notes.
func Job(out, notes io.Writer, asJSON bool) fleet.Display {
	fd, terminal := isTerminal(out)
	switch {
	case asJSON:
		return jsonLines{out, notes}
	case terminal:
		return &bars{out: out, fd: fd}
	}
	return &lines{out: out, notes: notes, last: map[string]string{}}
}

// isTerminal reports whether out is a terminal that can be drawn on.
func isTerminal(out io.Writer) (fd int, ok bool) {
	f, isFile := out.(*os.File)
	if !isFile || os.Getenv("TERM") == "dumb" {
		return 0, false
	}
	return int(f.Fd()), term.IsTerminal(int(f.Fd()))
}

// jsonLines shows every status as it came.
type jsonLines struct{ out, notes io.Writer }

func (j jsonLines) Tell(s dialect.JobStatus) { _ = json.NewEncoder(j.out).Encode(s) }
func (j jsonLines) Draw([]fleet.Row)         {}
func (j jsonLines) Note(text string)         { fmt.Fprintln(j.notes, text) }

// lines shows a line for every change that is more than progress.
type lines struct {
	out, notes io.Writer
	last       map[string]string // by device
}

func (l *lines) Tell(s dialect.JobStatus) {
	if words := Headline(s); words != l.last[s.Device] {
		l.last[s.Device] = words
		fmt.Fprintf(l.out, "%s  %s\n", s.Device, words)
	}
}

func (l *lines) Draw([]fleet.Row) {}
func (l *lines) Note(text string) { fmt.Fprintln(l.notes, text) }
