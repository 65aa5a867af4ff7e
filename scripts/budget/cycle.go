package main

import (
	"go/ast"
	"slices"
)

// A graph says for each file of a package, by its number, which others it needs.
type graph [][]int

// references is the graph of a package: a file needs those that declare what it
// uses, be it a function, a type, a method or a field.
func (p *checked) references() graph {
	number := map[string]int{}
	for i, f := range p.files {
		number[p.set.Position(f.Pos()).Filename] = i
	}
	to := make(graph, len(p.files))
	for i, f := range p.files {
		ast.Inspect(f, func(n ast.Node) bool {
			id, _ := n.(*ast.Ident)
			used := p.uses[id]
			if used == nil || used.Pkg() != p.pkg {
				return true
			}
			if j := number[p.set.Position(used.Pos()).Filename]; j != i && !slices.Contains(to[i], j) {
				to[i] = append(to[i], j)
			}
			return true
		})
	}
	return to
}

// largestCycle is how many files need one another, directly or not. No cycle is 0.
func (g graph) largestCycle() int {
	t := tarjan{to: g, index: make([]int, len(g)), low: make([]int, len(g)), open: make([]bool, len(g))}
	for v := range g {
		if t.index[v] == 0 {
			t.visit(v)
		}
	}
	if t.largest == 1 {
		return 0
	}
	return t.largest
}

// tarjan is the state of Tarjan's algorithm for strongly connected components.
type tarjan struct {
	to         graph
	index, low []int // from 1; 0 is not visited yet
	open       []bool
	stack      []int
	visited    int
	largest    int
}

func (t *tarjan) visit(v int) {
	t.visited++
	t.index[v], t.low[v], t.open[v] = t.visited, t.visited, true
	t.stack = append(t.stack, v)
	for _, w := range t.to[v] {
		if t.index[w] == 0 {
			t.visit(w)
			t.low[v] = min(t.low[v], t.low[w])
		} else if t.open[w] {
			t.low[v] = min(t.low[v], t.index[w])
		}
	}
	if t.low[v] != t.index[v] {
		return
	}
	first := slices.Index(t.stack, v)
	for _, w := range t.stack[first:] {
		t.open[w] = false
	}
	t.largest = max(t.largest, len(t.stack)-first)
	t.stack = t.stack[:first]
}
