package main

import (
	"go/ast"
	"go/parser"
	"go/token"
	"path/filepath"
	"slices"
	"strings"
	"testing"
)

// writesItself is what of us changes files without package safefile, which alone
// makes them durable, and why that is enough.
var writesItself = map[string]string{
	"agent/intake/once.go":               "a note in RAM",
	"agent/enroll/files.go":              "files that are tried and thrown away",
	"executor/step/config/prepare.go":    "links in a folder that is thrown away",
	"executor/step/config/uciprogram.go": "a copy that is thrown away",
	"executor/step/process/groups.go":    "a note in RAM",
	"store/file.go":                      "RAM where the kernel has no memfd",
	"store/store.go":                     "a file that is of no use any more, put aside",
}

// writers are the functions of os that make a file, or give it another name.
var writers = []string{"WriteFile", "Create", "CreateTemp", "Rename", "Link", "Symlink", "Truncate"}

func TestOnlySafefileWritesFiles(t *testing.T) {
	seen := map[string]bool{}
	for _, p := range linkedPackages(t) {
		name, own := strings.CutPrefix(p.ImportPath, module)
		if !own || name == "executor/step/safefile" {
			continue
		}
		files, err := filepath.Glob(filepath.Join("../..", name, "*.go"))
		if err != nil {
			t.Fatal(err)
		}
		for _, file := range files {
			what := filesWritten(t, file)
			if rel, _ := filepath.Rel("../..", file); len(what) > 0 && writesItself[rel] == "" {
				t.Errorf("%s calls os.%s: use package safefile", rel, strings.Join(what, ", os."))
			} else if len(what) > 0 {
				seen[rel] = true
			}
		}
	}
	for file := range writesItself {
		if !seen[file] {
			t.Errorf("%s writes nothing any more: take it off the list", file)
		}
	}
}

// filesWritten are the functions of os among writers that a file calls.
func filesWritten(t *testing.T, file string) (what []string) {
	t.Helper()
	if strings.HasSuffix(file, "_test.go") {
		return nil
	}
	tree, err := parser.ParseFile(token.NewFileSet(), file, nil, parser.SkipObjectResolution)
	if err != nil {
		t.Fatal(err)
	}
	ast.Inspect(tree, func(n ast.Node) bool {
		if call, ok := n.(*ast.SelectorExpr); ok {
			if pkg, ok := call.X.(*ast.Ident); ok && pkg.Name == "os" && slices.Contains(writers, call.Sel.Name) {
				what = append(what, call.Sel.Name)
			}
		}
		return true
	})
	return what
}
