package show

import (
	"cmp"
	"fmt"
	"strings"

	"github.com/ratchetd/ratchet/agent/dialect"
	"github.com/ratchetd/ratchet/cmd/ratchet/internal/fleet"
	"github.com/ratchetd/ratchet/cmd/ratchet/internal/screen"
	"github.com/ratchetd/ratchet/executor"
)

// many is from how many devices on they are shown together, not one by one.
const many = 20

// maxOutput is how many lines of a failed step's output are shown.
const maxOutput = 10

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
	if failed := s.Tolerated(); failed != "" {
		words += ", though " + failed
	}
	return screen.Line(words)
}

// lastWord is what a device last said of the job.
func lastWord(r fleet.Row) string {
	switch {
	case r.Other:
		return "refused: the device knows another document under this id: take another id"
	case !r.Answered:
		return "has not answered yet"
	}
	return Headline(r.Status)
}

// Summary says how a job stands, and where it needs somebody's eye.
func Summary(out *screen.Screen, j *fleet.Job, rows []fleet.Row) {
	if len(rows) == 0 {
		fmt.Fprintln(out, "No device is known that this job reaches. The offer waits at the broker.")
		return
	}
	if len(rows) < many {
		oneByOne(out, j, rows)
	} else {
		Failures(out, j.Failures(rows))
		tolerated(out, rows)
		Unfinished(out, j.Unfinished(rows))
	}
	if s := CountOf(rows); s != "" {
		fmt.Fprintln(out, s)
	}
}

func oneByOne(out *screen.Screen, j *fleet.Job, rows []fleet.Row) {
	for _, r := range rows {
		switch {
		case r.Bad():
			fmt.Fprintf(out, "%s: %s%s\n", screen.Line(r.Device), lastWord(r), effectOf(j, r))
			Output(out, fleet.OutputOf(r))
		case r.Status.Tolerated() != "":
			fmt.Fprintf(out, "%s: %s\n", screen.Line(r.Device), lastWord(r))
		case !r.Final() && !r.Online:
			fmt.Fprintf(out, "%s: offline, %s\n", screen.Line(r.Device), lastWord(r))
		case !r.Final():
			fmt.Fprintf(out, "%s: %s\n", screen.Line(r.Device), lastWord(r))
		}
	}
}

// tolerated shows on how many devices the job succeeded though a step failed.
func tolerated(out *screen.Screen, rows []fleet.Row) {
	var devices []string
	first := ""
	for _, r := range rows {
		if failed := r.Status.Tolerated(); failed != "" {
			first = cmp.Or(first, failed)
			devices = append(devices, r.Device)
		}
	}
	if len(devices) > 0 {
		fmt.Fprintf(out, "%d × succeeded, though a step failed, such as %s\n    on %s\n", len(devices), screen.Line(first), examples(devices))
	}
}

// effectOf is what became of a device on which the job had begun.
func effectOf(j *fleet.Job, r fleet.Row) string {
	if r.Other || r.Status.State == executor.Rejected {
		return ""
	}
	return " (" + string(j.Effect(r)) + ")"
}

// Failures shows why a job did not succeed, what most devices say first, each with
// its handle, some of the devices and what the step printed last.
func Failures(out *screen.Screen, all []fleet.Failure) {
	for _, f := range all {
		fmt.Fprintf(out, "%s  %s  (%s)\n", f.Handle, failure(f), effects(f))
		fmt.Fprintf(out, "    on %s\n", examples(f.Devices))
		if f.Hopeless != "" {
			fmt.Fprintf(out, "    trying again cannot help: %s\n", f.Hopeless)
		}
		Output(out, f.Output)
	}
}

// failure is such as "12 × install (package): no space left".
func failure(f fleet.Failure) string {
	where := string(f.State)
	if f.Step != "" {
		where += " in " + f.Step
	}
	if f.Kind != "" {
		where += " (" + f.Kind + ")"
	}
	if f.Text != "" {
		where += ": " + f.Text
	}
	return screen.Line(fmt.Sprintf("%d × %s", len(f.Devices), where))
}

// effects is such as "2 restored, 10 changed".
func effects(f fleet.Failure) string {
	var parts []string
	for _, e := range []fleet.Effect{fleet.Untouched, fleet.Restored, fleet.Changed} {
		switch n := f.Effects[e]; {
		case n == len(f.Devices):
			return string(e)
		case n > 0:
			parts = append(parts, fmt.Sprintf("%d %s", n, e))
		}
	}
	return strings.Join(parts, ", ")
}

func examples(devices []string) string {
	few := devices[:min(len(devices), 3)]
	text := screen.Line(strings.Join(few, ", "))
	if more := len(devices) - len(few); more > 0 {
		text += fmt.Sprintf(" and %d more", more)
	}
	return text
}

// Unfinished shows what devices wait for that are not done.
func Unfinished(out *screen.Screen, all []fleet.Wait) {
	for _, w := range all {
		fmt.Fprintf(out, "waits  %d × %s: %s\n", len(w.Devices), screen.Line(w.For), examples(w.Devices))
	}
}

// Output shows the last lines of what a step printed.
func Output(out *screen.Screen, text string) {
	text = strings.TrimRight(text, "\n")
	if text == "" {
		return
	}
	lines := strings.Split(text, "\n")
	for _, line := range lines[max(0, len(lines)-maxOutput):] {
		fmt.Fprintf(out, "    | %s\n", screen.Line(line))
	}
}
