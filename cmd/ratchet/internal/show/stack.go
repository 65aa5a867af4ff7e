package show

import (
	"fmt"
	"strings"

	"github.com/ratchetd/ratchet/cmd/ratchet/internal/fleet"
	"github.com/ratchetd/ratchet/cmd/ratchet/internal/screen"
	"github.com/ratchetd/ratchet/executor"
)

// A layer is one part of the bar that stands for all devices. Its sign tells it
// apart where there are no colours.
type layer struct {
	sign   string
	colour screen.Colour
	has    func(fleet.Row) bool
}

var layers = []layer{
	{"█", screen.Green, func(r fleet.Row) bool { return r.Final() && !r.Bad() }},
	{"×", screen.Red, fleet.Row.Bad},
	{"▓", screen.Cyan, func(r fleet.Row) bool {
		return !r.Final() && r.Online && r.Answered && r.Status.State != executor.Waiting
	}},
	{"▒", screen.Yellow, func(r fleet.Row) bool {
		return !r.Final() && r.Online && (!r.Answered || r.Status.State == executor.Waiting)
	}},
	{"░", screen.Grey, func(r fleet.Row) bool { return !r.Final() && !r.Online }},
}

// paintStack is the picture of many devices: one bar for all of them, how many are
// in which state, why it failed, and what is waited for.
func paintStack(j *fleet.Job, rows []fleet.Row, width, height int) [][]screen.Span {
	picture := [][]screen.Span{paintLayers(rows, width), {{Text: cut(CountOf(rows), width)}}}
	for _, f := range j.Failures(rows) {
		line := fmt.Sprintf("%s  %s: %s", f.Handle, failure(f), examples(f.Devices))
		picture = append(picture, []screen.Span{{Text: cut(line, width), Colour: screen.Red}})
	}
	for _, w := range j.Unfinished(rows) {
		line := fmt.Sprintf("waits  %d × %s: %s", len(w.Devices), w.For, examples(w.Devices))
		picture = append(picture, []screen.Span{{Text: cut(line, width)}})
	}
	if more := len(picture) - height; more > 0 {
		picture = append(picture[:height-1], []screen.Span{{Text: fmt.Sprintf("and %d more lines: ratchet job %s", more+1, j.ID)}})
	}
	return picture
}

// paintLayers is the bar. A layer of any devices has at least one sign.
func paintLayers(rows []fleet.Row, width int) []screen.Span {
	var line []screen.Span
	counts, shown := make([]int, len(layers)), 0
	for _, r := range rows {
		for i, l := range layers {
			if l.has(r) {
				counts[i]++
				break
			}
		}
	}
	for _, n := range counts {
		if n > 0 {
			shown++
		}
	}
	spare := width - shown
	for i, l := range layers {
		if counts[i] > 0 {
			line = append(line, screen.Span{Text: strings.Repeat(l.sign, 1+spare*counts[i]/len(rows)), Colour: l.colour})
		}
	}
	return line
}
