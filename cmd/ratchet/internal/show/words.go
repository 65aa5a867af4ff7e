package show

import (
	"fmt"
	"io"

	"github.com/ratchetd/ratchet/agent/dialect"
	"github.com/ratchetd/ratchet/cmd/ratchet/internal/fleet"
	"github.com/ratchetd/ratchet/cmd/ratchet/internal/screen"
)

// Headline is a status in a few words, on one line.
func Headline(s dialect.JobStatus) string {
	words := string(s.State)
	if p := s.Step; p != nil && !s.State.Final() {
		words += fmt.Sprintf(" %d/%d %s (%s)", p.Index+1, p.Of, p.Name, p.Kind)
		if p.Attempt > 1 {
			words += fmt.Sprintf(", attempt %d", p.Attempt)
		}
	}
	if s.Reason != "" {
		words += ": " + s.Reason
	}
	return screen.Line(words)
}

// lastWord is what a device last said of the job.
func lastWord(r fleet.Row) string {
	if !r.Answered {
		return "has not answered yet"
	}
	return Headline(r.Status)
}

// Summary says how a job stands, and where it needs somebody's eye.
func Summary(out io.Writer, rows []fleet.Row) {
	if len(rows) == 0 {
		fmt.Fprintln(out, "No device is known that this job reaches. The offer waits at the broker.")
		return
	}
	for _, r := range rows {
		switch {
		case r.Bad():
			fmt.Fprintf(out, "%s: %s\n", screen.Line(r.Device), Headline(r.Status))
		case !r.Online && !r.Final():
			fmt.Fprintf(out, "%s: offline, %s\n", screen.Line(r.Device), lastWord(r))
		}
	}
	if s := fleet.Count(rows).String(); s != "" {
		fmt.Fprintln(out, s)
	}
}
