package show

import (
	"fmt"
	"strings"
	"unicode/utf8"

	"github.com/ratchetd/ratchet/cmd/ratchet/internal/screen"
	"github.com/ratchetd/ratchet/executor"
)

const gap = 2 // spaces between two columns

// A Table lines up columns. On a terminal cells wrap between words, so that no
// line is longer than the terminal is wide; the first column, which names what the
// row is about, never does. Flush writes it.
type Table struct {
	out  *screen.Screen
	rows [][]string
}

// NewTable begins a table with its heads.
func NewTable(out *screen.Screen, heads ...string) *Table {
	t := &Table{out: out}
	t.Row(heads...)
	return t
}

// Row adds a row. An empty cell becomes a dash.
func (t *Table) Row(cells ...string) {
	for i, c := range cells {
		if cells[i] = screen.Line(c); cells[i] == "" {
			cells[i] = "-"
		}
	}
	t.rows = append(t.rows, cells)
}

// Flush writes the table.
func (t *Table) Flush() error {
	widths, fits := t.widths(t.out.Width())
	var b strings.Builder
	for i, row := range t.rows {
		switch {
		case fits:
			writeRow(&b, row, widths)
		case i > 0:
			t.writeBelow(&b, row)
		}
		if b.Len() > 1<<16 || i == len(t.rows)-1 {
			if _, err := fmt.Fprint(t.out, b.String()); err != nil {
				return err
			}
			b.Reset()
		}
	}
	return nil
}

// widths are the columns' in characters; false means that even with every word on
// a line of its own they are too many for the terminal. A width of 0 has no end.
func (t *Table) widths(width int) ([]int, bool) {
	full, least := make([]int, len(t.rows[0])), make([]int, len(t.rows[0]))
	for _, row := range t.rows {
		for i, cell := range row {
			full[i] = max(full[i], utf8.RuneCountInString(cell))
			if width > 0 {
				least[i] = max(least[i], longestWord(cell))
			}
		}
	}
	least[0] = full[0]
	over := sum(full) + gap*(len(full)-1) - width
	for width > 0 && over > 0 {
		widest, room := -1, 0
		for i := range full {
			if r := full[i] - least[i]; r > 0 && full[i] > room {
				widest, room = i, full[i]
			}
		}
		if widest < 0 {
			return full, false
		}
		full[widest]--
		over--
	}
	return full, true
}

func sum(list []int) int {
	n := 0
	for _, v := range list {
		n += v
	}
	return n
}

func longestWord(cell string) int {
	most := 0
	for _, w := range words(cell) {
		most = max(most, utf8.RuneCountInString(strings.TrimRight(w, " ")))
	}
	return most
}

// words are the pieces between which a cell may wrap, each with what follows it.
func words(cell string) []string {
	var all []string
	for cell != "" {
		i := strings.IndexAny(cell, " ,")
		if i < 0 {
			return append(all, cell)
		}
		all, cell = append(all, cell[:i+1]), cell[i+1:]
	}
	return all
}

// wrap breaks a text into lines of at most that many characters, between words.
func wrap(text string, width int) []string {
	var lines []string
	line := ""
	for _, w := range words(text) {
		if line != "" && utf8.RuneCountInString(line)+utf8.RuneCountInString(strings.TrimRight(w, " ")) > width {
			lines, line = append(lines, strings.TrimRight(line, " ")), ""
		}
		line += w
	}
	return append(lines, strings.TrimRight(line, " "))
}

func writeRow(b *strings.Builder, row []string, widths []int) {
	cells, height := make([][]string, len(row)), 1
	for i, cell := range row {
		cells[i] = []string{cell}
		if utf8.RuneCountInString(cell) > widths[i] {
			cells[i] = wrap(cell, widths[i])
		}
		height = max(height, len(cells[i]))
	}
	for n := range height {
		line, pad := "", 0
		for i, lines := range cells {
			text := ""
			if n < len(lines) {
				text = lines[n]
			}
			if text != "" {
				line += strings.Repeat(" ", pad) + text
				pad = 0
			}
			pad += widths[i] - utf8.RuneCountInString(text) + gap
		}
		b.WriteString(line + "\n")
	}
}

// writeBelow writes the cells of a row below each other, with their heads.
func (t *Table) writeBelow(b *strings.Builder, row []string) {
	b.WriteString(row[0] + "\n")
	heads := 0
	for _, h := range t.rows[0][1:] {
		heads = max(heads, utf8.RuneCountInString(h))
	}
	for i, cell := range row[1:] {
		head := t.rows[0][i+1]
		for _, line := range wrap(cell, max(1, t.out.Width()-heads-2*gap)) {
			fmt.Fprintf(b, "%*s%-*s%*s%s\n", gap, "", heads, head, gap, "", line)
			head = ""
		}
	}
}

// Time is a time for people, in their own zone; an unknown one is a dash.
func Time(t executor.Time) string {
	if t.IsZero() {
		return "-"
	}
	return t.Local().Format("2006-01-02 15:04:05")
}
