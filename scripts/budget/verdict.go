package main

import (
	"fmt"
	"slices"
	"strings"
)

// The budget.
const (
	medianFile  = 130 // lines
	longestFile = 600
	p90Func     = 40
	longestFunc = 80
	mostIfaces  = 12
	widestIface = 6 // methods
)

func (s *source) figures() []string {
	return []string{
		fmt.Sprintf("files      %5d   median %d lines (at most %d), longest %d (%d)", len(s.files), quantile(s.files, 50), medianFile, quantile(s.files, 100), longestFile),
		fmt.Sprintf("functions  %5d   median %d lines, p90 %d (at most %d), longest %d (%d)", len(s.funcs), quantile(s.funcs, 50), quantile(s.funcs, 90), p90Func, quantile(s.funcs, 100), longestFunc),
		fmt.Sprintf("interfaces %5d   (at most %d), widest %d methods (%d)", len(s.ifaces), mostIfaces, quantile(s.ifaces, 100), widestIface),
		fmt.Sprintf("tests      %5d   files, %d lines for each 100 of the rest", len(s.tests), 100*total(s.tests)/max(total(s.files), 1)),
	}
}

// broken names what is over the budget, and by how much.
func (s *source) broken() []string {
	var out []string
	if n := quantile(s.files, 50); n > medianFile {
		out = append(out, fmt.Sprintf("the median file has %d lines, at most %d", n, medianFile))
	}
	if n := quantile(s.funcs, 90); n > p90Func {
		out = append(out, fmt.Sprintf("one function in ten has %d lines or more, at most %d", n, p90Func))
	}
	if n := len(s.ifaces); n > mostIfaces {
		out = append(out, fmt.Sprintf("%d interfaces, at most %d: %s", n, mostIfaces, names(s.ifaces)))
	}
	out = append(out, above(slices.Concat(s.files, s.tests), longestFile, "lines")...)
	out = append(out, above(s.funcs, longestFunc, "lines")...)
	out = append(out, above(s.ifaces, widestIface, "methods")...)
	for _, path := range s.inits {
		out = append(out, path+": an init function")
	}
	for _, name := range s.bare {
		out = append(out, name+": exported without a comment")
	}
	return out
}

func above(list []size, most int, unit string) []string {
	var out []string
	for _, s := range list {
		if s.n > most {
			out = append(out, fmt.Sprintf("%s: %d %s, at most %d", s.name, s.n, unit, most))
		}
	}
	return out
}

// quantile is the size that percent of the list do not exceed.
func quantile(list []size, percent int) int {
	if len(list) == 0 {
		return 0
	}
	sorted := slices.SortedFunc(slices.Values(list), func(a, b size) int { return a.n - b.n })
	return sorted[percent*(len(sorted)-1)/100].n
}

func total(list []size) (n int) {
	for _, s := range list {
		n += s.n
	}
	return n
}

func names(list []size) string {
	var out []string
	for _, s := range list {
		out = append(out, s.name)
	}
	return strings.Join(out, ", ")
}
