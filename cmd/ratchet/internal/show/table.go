package show

import (
	"fmt"
	"io"
	"strings"
	"text/tabwriter"

	"github.com/ratchetd/ratchet/cmd/ratchet/internal/screen"
	"github.com/ratchetd/ratchet/executor"
)

// A Table lines up columns. Flush writes it.
type Table struct{ *tabwriter.Writer }

// NewTable begins a table with its heads.
func NewTable(out io.Writer, heads ...string) Table {
	t := Table{tabwriter.NewWriter(out, 0, 0, 2, ' ', 0)}
	t.Row(heads...)
	return t
}

// Row adds a row. An empty cell becomes a dash.
func (t Table) Row(cells ...string) {
	for i, c := range cells {
		if cells[i] = screen.Line(c); cells[i] == "" {
			cells[i] = "-"
		}
	}
	fmt.Fprintln(t, strings.Join(cells, "\t"))
}

// Time is a time for people, in their own zone; an unknown one is a dash.
func Time(t executor.Time) string {
	if t.IsZero() {
		return "-"
	}
	return t.Local().Format("2006-01-02 15:04:05")
}
