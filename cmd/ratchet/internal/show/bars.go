package show

import (
	"fmt"
	"math"
	"strings"
	"unicode/utf8"

	"github.com/ratchetd/ratchet/cmd/ratchet/internal/fleet"
	"github.com/ratchetd/ratchet/cmd/ratchet/internal/screen"
	"github.com/ratchetd/ratchet/executor"
)

const barWidth = 20 // leaves room for a whole line of words in 80 columns

// bars shows a bar per device and redraws them in place.
type bars struct{ out *screen.Screen }

// show redraws the bars; a note is a line that stays, above them.
func (b bars) show(u fleet.Update) {
	switch {
	case u.Note != "":
		b.out.Above(u.Note)
	case u.Status == nil:
		b.draw(u.Job, u.Rows)
	}
}

func (b bars) draw(j *fleet.Job, rows []fleet.Row) {
	width, height, ok := b.out.Size()
	if !ok {
		width, height = 80, 24
	}
	if len(rows) < many {
		b.out.Draw(paint(rows, width-1, height-1))
	} else {
		b.out.Draw(paintStack(j, rows, width-1, height-1))
	}
}

// paint is the picture of the rows, at most height lines of at most width
// characters. Where not all fit, those that still run come first.
func paint(rows []fleet.Row, width, height int) [][]screen.Span {
	names := 0
	for _, r := range rows {
		names = max(names, utf8.RuneCountInString(r.Device))
	}
	shown := rows
	if len(rows) > height {
		shown = busyFirst(rows)[:height-1]
	}
	var picture [][]screen.Span
	for _, r := range shown {
		picture = append(picture, paintRow(r, names, width))
	}
	if len(shown) < len(rows) {
		rest := fmt.Sprintf("and %d more; in all: %s", len(rows)-len(shown), CountOf(rows))
		picture = append(picture, []screen.Span{{Text: cut(rest, width)}})
	}
	return picture
}

func busyFirst(rows []fleet.Row) []fleet.Row {
	var busy, rest []fleet.Row
	for _, r := range rows {
		if r.Final() || !r.Online {
			rest = append(rest, r)
		} else {
			busy = append(busy, r)
		}
	}
	return append(busy, rest...)
}

// CountOf is such as "2 succeeded, 1 failed, 3 without an answer".
func CountOf(rows []fleet.Row) string {
	silent, other := 0, 0
	for _, r := range rows {
		switch {
		case r.Other:
			other++
		case !r.Answered:
			silent++
		}
	}
	words := fleet.Count(rows).String()
	if silent > 0 {
		words += fmt.Sprintf(", %d without an answer", silent)
	}
	if other > 0 {
		words += fmt.Sprintf(", %d with another document of this id", other)
	}
	return strings.TrimPrefix(words, ", ")
}

func paintRow(r fleet.Row, names, width int) []screen.Span {
	full := int(math.Round(r.Fraction() * barWidth))
	bar := strings.Repeat("█", full) + strings.Repeat("░", barWidth-full)
	words := lastWord(r)
	switch {
	case !r.Online && !r.Final():
		words = "offline, " + words
	case r.Cuts() > 0:
		words += fmt.Sprintf("  (cut %d×)", r.Cuts())
	}
	return []screen.Span{
		{Text: cut(fmt.Sprintf("%-*s", names, r.Device), width) + "  "},
		{Text: bar, Colour: colour(r)},
		{Text: "  " + cut(words, width-names-barWidth-4)},
	}
}

func colour(r fleet.Row) screen.Colour {
	switch {
	case r.Bad():
		return screen.Red
	case r.Final():
		return screen.Green
	case !r.Online, !r.Answered:
		return screen.Grey
	case r.Status.State == executor.Waiting, r.Status.State == executor.Undoing:
		return screen.Yellow
	}
	return screen.Cyan // under way
}

// cut shortens text to what fits.
func cut(text string, width int) string {
	if utf8.RuneCountInString(text) <= width {
		return text
	}
	runes := []rune(text)
	return string(runes[:max(0, width-1)]) + "…"
}
