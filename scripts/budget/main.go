// Command budget measures the source and fails where it outgrew what a reader
// can hold: long files and functions, many or wide interfaces, init functions,
// exported names without a comment. It prints its figures either way. Tests
// count for the longest file and for init only. Beside the budget it prints
// signals that are worth a look and that no number can judge. It does not judge
// style: that is staticcheck's work.
//
//	go run ./scripts/budget [DIR]
package main

import (
	"fmt"
	"io/fs"
	"os"
	"path/filepath"
	"slices"
	"strings"
)

func main() {
	dir := "."
	if len(os.Args) > 1 {
		dir = os.Args[1]
	}
	s, err := measure(dir)
	if err != nil {
		fmt.Fprintln(os.Stderr, "budget:", err)
		os.Exit(1)
	}
	packages, err := check(dir)
	if err != nil {
		fmt.Fprintln(os.Stderr, "budget:", err)
		os.Exit(1)
	}
	var seen signals
	for _, p := range packages {
		seen.add(p)
	}
	for _, row := range slices.Concat(s.figures(), seen.figures()) {
		fmt.Println(row)
	}
	broken := s.broken()
	for _, b := range broken {
		fmt.Fprintln(os.Stderr, "over the budget:", b)
	}
	if len(broken) > 0 {
		os.Exit(1)
	}
}

// measure reads every Go file below dir.
func measure(dir string) (*source, error) {
	s := &source{}
	err := filepath.WalkDir(dir, func(path string, d fs.DirEntry, err error) error {
		switch {
		case err != nil:
			return err
		case d.IsDir() && path != dir && (d.Name() == "testdata" || strings.HasPrefix(d.Name(), ".")):
			return filepath.SkipDir
		case d.IsDir() || filepath.Ext(path) != ".go":
			return nil
		}
		return s.add(path)
	})
	return s, err
}
