package show

import (
	"fmt"
	"io"
	"math"
	"os"
	"strings"
	"unicode/utf8"

	"github.com/ratchetd/ratchet/agent/dialect"
	"github.com/ratchetd/ratchet/cmd/ratchet/internal/fleet"
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

func (b *bars) Tell(dialect.JobStatus) {}

// Note writes a line that stays, above the bars.
func (b *bars) Note(text string) {
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

func (b *bars) Draw(rows []fleet.Row) {
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
func paint(rows []fleet.Row, width, height int) []string {
	names := 0
	for _, r := range rows {
		names = max(names, len(r.Device))
	}
	shown := rows
	if len(rows) > height {
		shown = busyFirst(rows)[:height-1]
	}
	var picture []string
	for _, r := range shown {
		picture = append(picture, paintRow(r, names, width))
	}
	if len(shown) < len(rows) {
		picture = append(picture, cut(fmt.Sprintf("and %d more; in all: %s", len(rows)-len(shown), countOf(rows)), width))
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

func countOf(rows []fleet.Row) string {
	silent := 0
	for _, r := range rows {
		if !r.Answered {
			silent++
		}
	}
	words := fleet.Count(rows).String()
	if silent > 0 {
		words = strings.TrimPrefix(fmt.Sprintf("%s, %d without an answer", words, silent), ", ")
	}
	return words
}

func paintRow(r fleet.Row, names, width int) string {
	full := int(math.Round(r.Fraction() * barWidth))
	bar := strings.Repeat("█", full) + strings.Repeat("░", barWidth-full)
	name := fmt.Sprintf("%-*s", names, r.Device)
	words := lastWord(r)
	switch {
	case !r.Online && !r.Final():
		words = "offline, " + words
	case r.Cuts() > 0:
		words += fmt.Sprintf("  (cut %d×)", r.Cuts())
	}
	return cut(name, width) + "  " + colour(r, bar) + "  " + cut(words, width-len(name)-barWidth-4)
}

func colour(r fleet.Row, text string) string {
	code := "36" // cyan: under way
	switch {
	case os.Getenv("NO_COLOR") != "":
		return text
	case r.Bad():
		code = "31"
	case r.Final():
		code = "32"
	case !r.Online, !r.Answered:
		code = "90"
	case r.Status.State == executor.Waiting, r.Status.State == executor.Undoing:
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
