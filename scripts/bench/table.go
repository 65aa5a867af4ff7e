package main

import (
	"fmt"
	"os"
	"slices"
	"strings"
	"time"
)

// A table is rows of cells; the first row is the head. It is printed in Markdown,
// so that it can be pasted into the README.
type table [][]string

// with adds a row, and shows it to those who wait: a whole table may take an hour.
func (t table) with(row []string) table {
	fmt.Fprintln(os.Stderr, strings.Join(row, " | "))
	return append(t, row)
}

func (t table) print() {
	widths := make([]int, len(t[0]))
	for _, row := range t {
		for i, cell := range row {
			widths[i] = max(widths[i], len(cell))
		}
	}
	for i, row := range t {
		for k, cell := range row {
			fmt.Printf("| %-*s ", widths[k], cell)
		}
		fmt.Println("|")
		if i == 0 {
			for _, w := range widths {
				fmt.Print("|" + strings.Repeat("-", w+2))
			}
			fmt.Println("|")
		}
	}
	fmt.Println()
}

func micro(d time.Duration) string { return d.Round(10 * time.Microsecond).String() }

func median(list []time.Duration) time.Duration { return quantile(list, .5) }

func p90(list []time.Duration) time.Duration { return quantile(list, .9) }

func quantile(list []time.Duration, q float64) time.Duration {
	sorted := slices.Sorted(slices.Values(list))
	return sorted[int(q*float64(len(sorted)-1))]
}
