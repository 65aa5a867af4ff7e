package show

import (
	"bytes"
	"fmt"
	"strings"
	"testing"
	"unicode/utf8"

	"github.com/ratchetd/ratchet/agent/dialect"
	"github.com/ratchetd/ratchet/cmd/ratchet/internal/fleet"
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
		got := strings.Count(paintRow(c.row, 1, 200), "█")
		if got != c.want {
			t.Errorf("%s: %d full, want %d", paintRow(c.row, 1, 200), got, c.want)
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
		if n := utf8.RuneCountInString(line); n > 60 {
			t.Errorf("%d characters, want at most 60: %s", n, line)
		}
	}
	if !strings.HasPrefix(picture[0], "gw-90") {
		t.Errorf("first line %q, want a device that still runs", picture[0])
	}
	if got, want := picture[11], "and 89 more; in all: 10 running, 90 succeeded"; got != want {
		t.Errorf("last line %q, want %q", got, want)
	}
}

func TestBarsAreRedrawnInPlaceAndOnlyWhenTheyChange(t *testing.T) {
	t.Setenv("NO_COLOR", "1")
	var out bytes.Buffer
	b := &bars{out: &out, fd: -1}
	rows := []fleet.Row{runningRow("gw-1", 0, 2, 0), runningRow("gw-2", 0, 2, 0)}
	b.Draw(rows)
	first := out.String()
	if strings.Contains(first, "\x1b") || strings.Count(first, "\n") != 2 {
		t.Errorf("first picture %q, want two plain lines", first)
	}
	out.Reset()
	b.Draw(rows)
	if out.Len() > 0 {
		t.Errorf("the same picture was drawn again: %q", out.String())
	}
	rows[0] = runningRow("gw-1", 1, 2, 0)
	b.Draw(rows)
	if got := out.String(); !strings.HasPrefix(got, "\x1b[2A\r\x1b[J") || !strings.Contains(got, "2/2 fetch") {
		t.Errorf("second picture %q, want it over the first", got)
	}
	out.Reset()
	b.Note("hello")
	b.Draw(rows)
	if got := out.String(); !strings.HasPrefix(got, "\x1b[2A\r\x1b[Jhello\n") || strings.Count(got, "\x1b") != 2 {
		t.Errorf("after a note %q, want the note above a fresh picture", got)
	}
}
