package agent

import (
	"go/ast"
	"go/parser"
	"go/token"
	"maps"
	"slices"
	"strings"
	"testing"
)

// TestEveryEventOfADialectIsActedOn compares the events that there are with those
// that the link and the agent name in their switches: one that neither knows would
// be met on a device first.
func TestEveryEventOfADialectIsActedOn(t *testing.T) {
	events, known := map[string]bool{}, map[string]bool{}
	for _, path := range []string{"dialect/dialect.go", "link/receive.go", "events.go"} {
		file, err := parser.ParseFile(token.NewFileSet(), path, nil, 0)
		if err != nil {
			t.Fatal(err)
		}
		ast.Inspect(file, func(n ast.Node) bool {
			switch n := n.(type) {
			case *ast.FuncDecl: // func (Offer) event() {}
				if n.Name.Name == "event" && n.Recv != nil {
					events[n.Recv.List[0].Type.(*ast.Ident).Name] = true
				}
			case *ast.CaseClause: // case dialect.Offer:
				for _, c := range n.List {
					if s, ok := c.(*ast.SelectorExpr); ok {
						known[s.Sel.Name] = true
					}
				}
			}
			return true
		})
	}
	maps.DeleteFunc(events, func(name string, _ bool) bool { return known[name] })
	if unknown := slices.Sorted(maps.Keys(events)); len(unknown) > 0 || len(known) < 16 {
		t.Errorf("nobody acts on %s; %d events are known", strings.Join(unknown, ", "), len(known))
	}
}
