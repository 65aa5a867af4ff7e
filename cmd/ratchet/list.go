package main

import (
	"encoding/csv"
	"fmt"
	"strings"
	"time"

	"github.com/ratchetd/ratchet/cmd/ratchet/internal/screen"
	"github.com/ratchetd/ratchet/cmd/ratchet/internal/show"
	"github.com/ratchetd/ratchet/executor"
	"github.com/spf13/pflag"
)

// listFlags say in which form a list is printed.
type listFlags struct{ json, csv bool }

func (g *listFlags) flags(f *pflag.FlagSet) {
	f.BoolVar(&g.json, "json", false, "print one JSON array")
	f.BoolVar(&g.csv, "csv", false, "print comma-separated values, the first line their names")
}

// list prints items as a table, or as the flags say: row gives an item's cells,
// under the heads. The ending, which says whether these are all, stands below a
// table and beside everything else.
func list[T any](s *session, g listFlags, items []T, heads []string, row func(T) []any, ending string) error {
	out := s.err
	var err error
	switch {
	case g.json:
		err = screen.JSONList(s.out, items)
	case g.csv:
		err = writeCSV(s.out, items, heads, row)
	default:
		out = s.out
		t := show.NewTable(s.out, heads...)
		for _, item := range items {
			t.Row(cells(row(item), show.Time)...)
		}
		err = t.Flush()
	}
	if err == nil && ending != "" {
		fmt.Fprintln(out, screen.Line(ending))
	}
	return err
}

func writeCSV[T any](out *screen.Screen, items []T, heads []string, row func(T) []any) error {
	var names []string
	for _, h := range heads {
		names = append(names, strings.ToLower(h))
	}
	w := csv.NewWriter(out)
	_ = w.Write(names) // Flush keeps the error
	for _, item := range items {
		_ = w.Write(cells(row(item), exactTime))
	}
	w.Flush()
	return w.Error()
}

func exactTime(t executor.Time) string {
	if t.IsZero() {
		return ""
	}
	return t.Format(time.RFC3339)
}

// cells are values as texts; a time is as the form of the list wants it.
func cells(values []any, when func(executor.Time) string) []string {
	var texts []string
	for _, v := range values {
		if t, ok := v.(executor.Time); ok {
			texts = append(texts, when(t))
		} else {
			texts = append(texts, fmt.Sprint(v))
		}
	}
	return texts
}
