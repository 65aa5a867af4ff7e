package show

import (
	"bytes"
	"fmt"
	"strings"
	"testing"
	"unicode/utf8"

	"github.com/ratchetd/ratchet/agent/dialect"
	"github.com/ratchetd/ratchet/cmd/ratchet/internal/fleet"
	"github.com/ratchetd/ratchet/cmd/ratchet/internal/screen"
	"github.com/ratchetd/ratchet/executor"
)

func runningRow(device string, index, of int, progress float64) fleet.Row {
	return fleet.Row{Device: device, Online: true, Answered: true, Status: dialect.JobStatus{Device: device, State: executor.Running,
		Step: &dialect.CurrentStep{Index: index, Of: of, Name: "fetch", Kind: "download", Attempt: 1, Progress: progress}}}
}

func TestABarIsAsFullAsTheJobIsFar(t *testing.T) {
	done := fleet.Row{Device: "d", Online: true, Answered: true, Status: dialect.JobStatus{State: executor.Succeeded}}
	for _, c := range []struct {
		row  fleet.Row
		want int // of 20
	}{
		{fleet.Row{Device: "d"}, 0},
		{runningRow("d", 0, 4, 0), 0},
		{runningRow("d", 1, 4, 0), 5},
		{runningRow("d", 1, 4, 0.5), 8},
		{runningRow("d", 3, 4, 1), 20},
		{runningRow("d", 9, 4, 7), 20},
		{runningRow("d", -9, 4, -7), 0},
		{runningRow("d", 1, 0, 1), 0},
		{done, 20},
	} {
		line := text(paintRow(c.row, 1, 200))
		if got := strings.Count(line, "█"); got != c.want {
			t.Errorf("%s: %d full, want %d", line, got, c.want)
		}
	}
}

func TestThePictureFitsTheTerminal(t *testing.T) {
	t.Setenv("NO_COLOR", "1")
	var rows []fleet.Row
	for i := range 100 {
		r := runningRow(fmt.Sprintf("gw-%d", i), 1, 4, 0)
		if i < 90 {
			r.Status.State, r.Status.Step = executor.Succeeded, nil
		}
		r.Status.Reason = strings.Repeat("ü", 200)
		rows = append(rows, r)
	}
	picture := paint(rows, 60, 12)
	if len(picture) != 12 {
		t.Errorf("%d lines, want 12", len(picture))
	}
	for _, line := range picture {
		if n := utf8.RuneCountInString(text(line)); n > 60 {
			t.Errorf("%d characters, want at most 60: %s", n, text(line))
		}
	}
	if !strings.HasPrefix(text(picture[0]), "gw-90") {
		t.Errorf("first line %q, want a device that still runs", text(picture[0]))
	}
	if got, want := text(picture[11]), "and 89 more; in all: 10 running, 90 succeeded"; got != want {
		t.Errorf("last line %q, want %q", got, want)
	}
}

func TestManyDevicesAreOneBarThatHidesNoFailure(t *testing.T) {
	t.Setenv("NO_COLOR", "1")
	var rows []fleet.Row
	for i := range 5000 {
		r := runningRow(fmt.Sprintf("gw-%04d", i), 1, 4, 0)
		switch {
		case i < 3:
			r.Status = dialect.JobStatus{State: executor.Failed, Rev: 2, Reason: fmt.Sprintf("step fetch: %d bytes are free", i)}
			r.Status.Steps = []dialect.StepStatus{{Name: "fetch", State: executor.Failed, Attempts: 1}}
		case i < 4000:
			r.Status.State, r.Status.Step = executor.Succeeded, nil
		case i < 4100:
			r.Status.State, r.Status.Reason = executor.Waiting, "the window opens at 2026-12-01T02:00:00Z"
		case i < 4200:
			r.Online = false
		}
		rows = append(rows, r)
	}
	picture := paintStack(fleet.NewJob("j", false), rows, 78, 23)
	var lines []string
	for _, line := range picture {
		if n := utf8.RuneCountInString(text(line)); n > 78 {
			t.Errorf("%d characters, want at most 78: %s", n, text(line))
		}
		lines = append(lines, text(line))
	}
	got := strings.Join(lines, "\n")
	for _, want := range []string{"█×▓", "100 waiting, 900 running, 3997 succeeded, 3 failed", "F1  3 × failed in fetch: … bytes are free: gw-0000, gw-0001, gw-0002",
		"waits  100 × waiting: the window opens at …", "waits  800 × running 2/4 fetch (download)", "waits  100 × offline, running 2/4 fetch (download)"} {
		if !strings.Contains(got, want) {
			t.Errorf("want %q in\n%s", want, got)
		}
	}
}

// text is a line of a picture without its colours.
func text(line []screen.Span) string {
	var b strings.Builder
	for _, span := range line {
		b.WriteString(span.Text)
	}
	return b.String()
}

func TestADeviceIDCannotDraw(t *testing.T) {
	var out bytes.Buffer
	rows := []fleet.Row{runningRow("gw\x1b[2J\u202e", 0, 2, 0)}
	rows[0].Status.Step.Name = "\u009b2J"
	t.Setenv("NO_COLOR", "1")
	bars{screen.On(&out)}.draw(nil, rows)
	if got, want := out.String(), "gw\uFFFD[2J\uFFFD  ░░░░░░░░░░░░░░░░░░░░  running 1/2 \uFFFD2J (download)\n"; got != want {
		t.Errorf("got %+q, want %+q", got, want)
	}
}
