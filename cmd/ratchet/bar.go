package main

import (
	"fmt"
	"io"
	"math"
	"os"
	"strings"
	"unicode/utf8"

	"github.com/ratchetd/ratchet/agent/dialect"
	"github.com/ratchetd/ratchet/executor"
	"golang.org/x/term"
)

const barWidth = 20 // leaves room for a whole line of words in 80 columns

// bars shows a bar per device and redraws them in place.
type bars struct {
	out   io.Writer
	fd    int
	drawn int    // lines on the screen
	shown string // the last picture
}

func (b *bars) tell(dialect.JobStatus) {}

// note writes a line that stays, above the bars.
func (b *bars) note(text string) {
	_, _ = io.WriteString(b.out, b.erase()+text+"\n")
	b.drawn, b.shown = 0, ""
}

// erase takes the bars off the screen.
func (b *bars) erase() string {
	if b.drawn == 0 {
		return ""
	}
	return fmt.Sprintf("\x1b[%dA\r\x1b[J", b.drawn)
}

func (b *bars) draw(rows []row) {
	width, height, err := term.GetSize(b.fd)
	if err != nil || width < 20 || height < 4 {
		width, height = 80, 24
	}
	picture := paint(rows, width-1, height-1)
	text := strings.Join(picture, "\n") + "\n"
	if text == b.shown || len(picture) == 0 {
		return
	}
	_, _ = io.WriteString(b.out, b.erase()+text)
	b.drawn, b.shown = len(picture), text
}

// paint is the picture of the rows, at most height lines of at most width
// characters. Where not all fit, those that still run come first.
func paint(rows []row, width, height int) []string {
	names := 0
	for _, r := range rows {
		names = max(names, len(r.device))
	}
	shown := rows
	if len(rows) > height {
		shown = busyFirst(rows)[:height-1]
	}
	var picture []string
	for _, r := range shown {
		picture = append(picture, r.paint(names, width))
	}
	if len(shown) < len(rows) {
		picture = append(picture, cut(fmt.Sprintf("and %d more; in all: %s", len(rows)-len(shown), countOf(rows)), width))
	}
	return picture
}

func busyFirst(rows []row) []row {
	var busy, rest []row
	for _, r := range rows {
		if r.final() || !r.online {
			rest = append(rest, r)
		} else {
			busy = append(busy, r)
		}
	}
	return append(busy, rest...)
}

func countOf(rows []row) string {
	var counts stateCounts
	silent := 0
	for _, r := range rows {
		if r.answered {
			counts.add(r.status.State)
		} else {
			silent++
		}
	}
	words := counts.String()
	if silent > 0 {
		words = strings.TrimPrefix(fmt.Sprintf("%s, %d without an answer", words, silent), ", ")
	}
	return words
}

func (r row) paint(names, width int) string {
	full := int(math.Round(r.fraction() * barWidth))
	bar := strings.Repeat("█", full) + strings.Repeat("░", barWidth-full)
	name := fmt.Sprintf("%-*s", names, r.device)
	words := r.lastWord()
	switch {
	case !r.online && !r.final():
		words = "offline, " + words
	case r.cuts() > 0:
		words += fmt.Sprintf("  (cut %d×)", r.cuts())
	}
	return cut(name, width) + "  " + r.colour(bar) + "  " + cut(words, width-len(name)-barWidth-4)
}

// fraction is how far the job is, 0 to 1.
func (r row) fraction() float64 {
	p := r.status.Step
	switch {
	case r.final():
		return 1
	case p == nil || p.Of <= 0:
		return 0
	}
	return min(1, max(0, (float64(p.Index)+min(1, max(0, p.Progress)))/float64(p.Of)))
}

// cuts is how often the power went, or the agent died, while a step ran.
func (r row) cuts() int {
	n := 0
	for _, s := range r.status.Steps {
		n += s.Interrupted
	}
	return n
}

func (r row) colour(text string) string {
	code := "36" // cyan: under way
	switch {
	case os.Getenv("NO_COLOR") != "":
		return text
	case r.bad():
		code = "31"
	case r.final():
		code = "32"
	case !r.online, !r.answered:
		code = "90"
	case r.status.State == executor.Waiting, r.status.State == executor.Undoing:
		code = "33"
	}
	return "\x1b[" + code + "m" + text + "\x1b[0m"
}

// cut shortens text to what fits.
func cut(text string, width int) string {
	if utf8.RuneCountInString(text) <= width {
		return text
	}
	runes := []rune(text)
	return string(runes[:max(0, width-1)]) + "…"
}
