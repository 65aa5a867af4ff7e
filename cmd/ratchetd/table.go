package main

import (
	"bytes"
	"io"
	"strings"
	"unicode/utf8"
)

// A table aligns lines whose cells are parted by tabs when it is flushed. It is
// text/tabwriter for what this program shows, in a tenth of its flash.
type table struct {
	bytes.Buffer
	w io.Writer
}

// Flush writes the lines. What stands last in a line widens no column.
func (t *table) Flush() error {
	var rows [][]string
	var widths []int
	for line := range strings.Lines(t.String()) {
		cells := strings.Split(strings.TrimSuffix(line, "\n"), "\t")
		for i, cell := range cells[:len(cells)-1] {
			if i == len(widths) {
				widths = append(widths, 0)
			}
			widths[i] = max(widths[i], utf8.RuneCountInString(cell)+2)
		}
		rows = append(rows, cells)
	}
	var out strings.Builder
	for _, cells := range rows {
		last := len(cells) - 1
		for i, cell := range cells[:last] {
			out.WriteString(cell + strings.Repeat(" ", widths[i]-utf8.RuneCountInString(cell)))
		}
		out.WriteString(cells[last] + "\n")
	}
	_, err := io.WriteString(t.w, out.String())
	return err
}
