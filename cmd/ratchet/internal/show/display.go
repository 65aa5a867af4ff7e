// Package show is how the tool puts what it knows: tables, a job under way, a
// status in a few words. It knows nothing by itself.
package show

import (
	"fmt"
	"io"

	"github.com/ratchetd/ratchet/agent/dialect"
	"github.com/ratchetd/ratchet/cmd/ratchet/internal/fleet"
	"github.com/ratchetd/ratchet/cmd/ratchet/internal/screen"
)

// Job is the display that suits where out leads: bars on a terminal, a line for
// each change elsewhere, or a JSON object for each status. Notes beside a list
// go to notes.
func Job(out, notes *screen.Screen, asJSON bool) func(fleet.Update) {
	_, _, terminal := out.Size()
	switch {
	case asJSON:
		return jsonLines{out, notes}.show
	case terminal:
		return bars{out}.show
	}
	return (&lines{out: out, notes: notes, last: map[string]string{}}).show
}

// jsonLines shows every status as it came.
type jsonLines struct{ out, notes *screen.Screen }

func (j jsonLines) show(u fleet.Update) {
	switch {
	case u.Status != nil:
		_ = j.out.JSON(*u.Status)
	case u.Note != "":
		j.notes.Above(u.Note)
	}
}

// lines shows a line for every change that is more than progress.
type lines struct {
	out, notes io.Writer
	last       map[string]string // by device
}

func (l *lines) show(u fleet.Update) {
	switch {
	case u.Status != nil:
		l.tell(*u.Status)
	case u.Note != "":
		fmt.Fprintln(l.notes, screen.Line(u.Note))
	}
}

func (l *lines) tell(s dialect.JobStatus) {
	if words := Headline(s); words != l.last[s.Device] {
		l.last[s.Device] = words
		fmt.Fprintf(l.out, "%s  %s\n", screen.Line(s.Device), words)
	}
}
