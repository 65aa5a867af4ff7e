package main

import (
	"go/ast"
	"go/parser"
	"go/token"
	"io/fs"
	"path/filepath"
	"slices"
	"strings"
	"testing"
)

// What a command writes to is a screen, so that a writer cannot come past it.
var _ = session{out: nil, err: nil}.out.Exact

// printers are what writes to a terminal without being given one.
var printers = map[string][]string{
	"fmt":     {"Print", "Printf", "Println"},
	"os":      {"Stdout", "Stderr", "NewFile"},
	"syscall": {"Write", "Stdout", "Stderr"},
	"unix":    {"Write"},
	"log":     nil, // all of it
	"slog":    {"Default", "Info", "Warn", "Error", "Debug", "Log"},
}

// allowed is who may name one, and how often: main gives both to run, and a
// passphrase is asked for through a screen of its own.
var allowed = map[string]int{"main.go os.Stdout": 1, "main.go os.Stderr": 1, "internal/signing/passphrase.go /dev/tty": 1}

// TestOnlyTheScreenWritesToATerminal looks for a way past it in the source.
func TestOnlyTheScreenWritesToATerminal(t *testing.T) {
	seen := map[string]int{}
	err := filepath.WalkDir(".", func(path string, d fs.DirEntry, err error) error {
		if err != nil || d.IsDir() || filepath.Ext(path) != ".go" || strings.HasSuffix(path, "_test.go") {
			return err
		}
		f, err := parser.ParseFile(token.NewFileSet(), path, nil, 0)
		if err != nil {
			return err
		}
		for _, use := range printing(f) {
			seen[path+" "+use]++
		}
		return nil
	})
	if err != nil {
		t.Fatal(err)
	}
	for use, n := range seen {
		if n > allowed[use] {
			t.Errorf("%s: write to the session's screens instead, or to one that screen.On made", use)
		}
	}
	for use := range allowed {
		if seen[use] == 0 {
			t.Errorf("%s is not found: this test looks in the wrong place", use)
		}
	}
}

// printing lists what in a file writes to a terminal by itself.
func printing(f *ast.File) []string {
	var found []string
	ast.Inspect(f, func(n ast.Node) bool {
		switch n := n.(type) {
		case *ast.SelectorExpr:
			pkg, ok := n.X.(*ast.Ident)
			if !ok {
				break
			}
			if names, known := printers[pkg.Name]; known && (names == nil || slices.Contains(names, n.Sel.Name)) {
				found = append(found, pkg.Name+"."+n.Sel.Name)
			}
		case *ast.CallExpr:
			if id, ok := n.Fun.(*ast.Ident); ok && (id.Name == "print" || id.Name == "println") {
				found = append(found, id.Name)
			}
		case *ast.BasicLit:
			if strings.Contains(n.Value, "/dev/tty") {
				found = append(found, "/dev/tty")
			}
		}
		return true
	})
	return found
}

// The test above finds each way.
func TestEveryWayToPrintIsFound(t *testing.T) {
	const source = `package x
var a, b = os.Stdout, os.Stderr
func f() { fmt.Println(1); fmt.Printf("x"); println(1); log.Fatal(1); slog.Info("x"); os.OpenFile("/dev/tty", 0, 0) }`
	f, err := parser.ParseFile(token.NewFileSet(), "x.go", source, 0)
	if err != nil {
		t.Fatal(err)
	}
	got := printing(f)
	want := []string{"os.Stdout", "os.Stderr", "fmt.Println", "fmt.Printf", "println", "log.Fatal", "slog.Info", "/dev/tty"}
	if !slices.Equal(got, want) {
		t.Errorf("got %q, want %q", got, want)
	}
}
