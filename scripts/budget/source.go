package main

import (
	"go/ast"
	"go/parser"
	"go/token"
	"slices"
	"strings"
)

// A size is something with a name and a number of lines, or of methods.
type size struct {
	name string
	n    int
}

// source is what was measured.
type source struct {
	files, tests, funcs, ifaces []size
	inits, bare                 []string
}

func (s *source) add(path string) error {
	set := token.NewFileSet()
	f, err := parser.ParseFile(set, path, nil, parser.ParseComments|parser.SkipObjectResolution)
	if err != nil {
		return err
	}
	own := size{path, set.File(f.Pos()).LineCount()}
	if strings.HasSuffix(path, "_test.go") {
		s.tests = append(s.tests, own)
	} else {
		s.files = append(s.files, own)
	}
	for _, d := range f.Decls {
		s.decl(set, path, d)
	}
	return nil
}

func (s *source) decl(set *token.FileSet, path string, d ast.Decl) {
	test := strings.HasSuffix(path, "_test.go")
	switch d := d.(type) {
	case *ast.FuncDecl:
		if d.Name.Name == "init" && d.Recv == nil {
			s.inits = append(s.inits, path)
		}
		if !test {
			s.function(set, path, d)
		}
	case *ast.GenDecl:
		for _, spec := range d.Specs {
			if !test {
				s.spec(path, d, spec)
			}
		}
	}
}

func (s *source) function(set *token.FileSet, path string, d *ast.FuncDecl) {
	lines := set.Position(d.End()).Line - set.Position(d.Pos()).Line + 1
	s.funcs = append(s.funcs, size{path + " " + d.Name.Name, lines})
	if d.Doc == nil && d.Name.IsExported() && exportedReceiver(d) && !wellKnown(d) {
		s.bare = append(s.bare, path+" "+d.Name.Name)
	}
}

// wellKnown are methods whose meaning is the standard library's.
func wellKnown(d *ast.FuncDecl) bool {
	return d.Recv != nil && slices.Contains([]string{"Error", "MarshalJSON", "MarshalText",
		"Read", "String", "UnmarshalJSON", "UnmarshalText", "Unwrap", "Write"}, d.Name.Name)
}

func exportedReceiver(d *ast.FuncDecl) bool {
	if d.Recv == nil {
		return true
	}
	exported := true
	ast.Inspect(d.Recv.List[0].Type, func(n ast.Node) bool {
		if id, ok := n.(*ast.Ident); ok {
			exported = id.IsExported()
			return false
		}
		return true
	})
	return exported
}

// sealed reports whether nobody outside of its package can implement an interface:
// then it is a closed set of types, and no seam.
func sealed(i *ast.InterfaceType) bool {
	for _, m := range i.Methods.List {
		if len(m.Names) == 0 || m.Names[0].IsExported() {
			return false
		}
	}
	return true
}

// spec looks at one type, or one line of constants or variables; what stands
// in a group is documented by the group's comment too.
func (s *source) spec(path string, d *ast.GenDecl, spec ast.Spec) {
	switch spec := spec.(type) {
	case *ast.TypeSpec:
		if i, ok := spec.Type.(*ast.InterfaceType); ok && i.Methods.NumFields() > 0 && !sealed(i) {
			s.ifaces = append(s.ifaces, size{path + " " + spec.Name.Name, i.Methods.NumFields()})
		}
		if spec.Name.IsExported() && d.Doc == nil && spec.Doc == nil && spec.Comment == nil {
			s.bare = append(s.bare, path+" "+spec.Name.Name)
		}
	case *ast.ValueSpec:
		for _, name := range spec.Names {
			if name.IsExported() && d.Doc == nil && spec.Doc == nil && spec.Comment == nil {
				s.bare = append(s.bare, path+" "+name.Name)
			}
		}
	}
}
