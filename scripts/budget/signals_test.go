package main

import (
	"slices"
	"testing"
)

// The packages need one another's declarations as their files say: b, c and d
// form a cycle of three by a field, a method value and a type; a only uses it.
func TestSignalsNameTheWorst(t *testing.T) {
	tree(t, map[string]string{
		"go.mod": "module example.com/x\n\ngo 1.26\n",
		"p/a.go": "package p\n\nimport \"example.com/x/q\"\n\nvar A = B{q.Q, nil}\n",
		"p/b.go": "package p\n\ntype B struct {\n\tf func()\n\tc *C\n}\n\nfunc (B) one() {}\nfunc (B) two() {}\n",
		"p/c.go": "package p\n\ntype C struct{ d D }\n\nfunc (c C) run() { c.d.n++ }\n",
		"p/d.go": "package p\n\ntype D struct{ n int }\n\nvar run = A0().one\n\nfunc A0() (b B) { return b }\n",
		"q/q.go": "package q\n\nfunc Q() {}\n",
		"q/r.go": "package q\n\nfunc r() { Q() }\n",
	})
	packages, err := check(".")
	if err != nil {
		t.Fatal(err)
	}
	var s signals
	for _, p := range packages {
		s.add(p)
	}
	got := s.figures()[2:]
	want := []string{
		"cycle of files          12   p 3",
		"methods of a type       25   p B 2, p C 1",
		"files of a package      20   p 4, q 2",
		"func-typed fields        4   p B 1",
	}
	if !slices.Equal(got, want) {
		t.Errorf("got  %q\nwant %q", got, want)
	}
}

func TestOnlyFilesThatNeedOneAnotherAreACycle(t *testing.T) {
	for _, c := range []struct {
		name string
		g    graph
		want int
	}{
		{"none", nil, 0},
		{"a line", graph{{1}, {2}, {}}, 0},
		{"two that know each other", graph{{1}, {0}}, 2},
		{"a ring with a way in and a way out", graph{{1}, {2}, {3, 4}, {1}, {}}, 3},
		{"two rings, one way between them", graph{{1}, {0, 2}, {3}, {4}, {2}}, 3},
		{"two rings, both ways", graph{{1}, {0, 2}, {3}, {4}, {2, 0}}, 5},
	} {
		if got := c.g.largestCycle(); got != c.want {
			t.Errorf("%s: got %d, want %d", c.name, got, c.want)
		}
	}
}
