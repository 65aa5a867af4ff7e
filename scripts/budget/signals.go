package main

import (
	"cmp"
	"fmt"
	"go/types"
	"slices"
	"strings"
)

// What is much. It is printed and not enforced: source that is cut up for the
// sake of a figure is harder to follow than before.
const (
	muchCycle    = 12 // files of a package that need one another
	muchMethods  = 25 // of a type
	muchFiles    = 20 // of a package; more are right where each holds one thing of a sort
	muchFuncs    = 4  // func-typed fields of a struct
	worstPrinted = 5
)

// signals are figures to look at.
type signals struct {
	cycles, methods, files, funcs []size
}

func (s *signals) add(p *checked) {
	s.cycles = append(s.cycles, size{p.dir, p.references().largestCycle()})
	s.files = append(s.files, size{p.dir, len(p.files)})
	for _, name := range p.pkg.Scope().Names() {
		t, ok := p.pkg.Scope().Lookup(name).(*types.TypeName)
		if !ok || t.IsAlias() {
			continue
		}
		own := p.dir + " " + name
		if named, ok := t.Type().(*types.Named); ok {
			s.methods = append(s.methods, size{own, named.NumMethods()})
		}
		if fields, ok := t.Type().Underlying().(*types.Struct); ok {
			s.funcs = append(s.funcs, size{own, funcFields(fields)})
		}
	}
}

func funcFields(s *types.Struct) (n int) {
	for f := range s.Fields() {
		if _, ok := f.Type().Underlying().(*types.Signature); ok {
			n++
		}
	}
	return n
}

func (s *signals) figures() []string {
	return []string{
		"",
		"not enforced          much   worst",
		worst("cycle of files", muchCycle, s.cycles),
		worst("methods of a type", muchMethods, s.methods),
		worst("files of a package", muchFiles, s.files),
		worst("func-typed fields", muchFuncs, s.funcs),
	}
}

func worst(what string, much int, list []size) string {
	list = slices.DeleteFunc(slices.Clone(list), func(s size) bool { return s.n == 0 })
	slices.SortStableFunc(list, func(a, b size) int { return cmp.Compare(b.n, a.n) })
	var parts []string
	for _, s := range list[:min(worstPrinted, len(list))] {
		parts = append(parts, fmt.Sprintf("%s %d", s.name, s.n))
	}
	return fmt.Sprintf("%-20s  %4d   %s", what, much, strings.Join(parts, ", "))
}
