package main

import (
	"encoding/json"
	"errors"
	"fmt"
	"go/ast"
	"go/importer"
	"go/parser"
	"go/token"
	"go/types"
	"io"
	"os"
	"os/exec"
	"path/filepath"
)

// A checked package knows which declaration each name in it means.
type checked struct {
	dir   string // below the root
	set   *token.FileSet
	files []*ast.File
	pkg   *types.Package
	uses  map[*ast.Ident]types.Object
}

// A listed package is what "go list" says of one.
type listed struct {
	ImportPath, Dir, Export string
	GoFiles                 []string
	DepOnly                 bool
}

// check type-checks the packages below dir, without their tests, for this
// machine's platform. What they import is read from the build cache. Code that
// does not compile is looked at as far as it is understood: go vet says what is
// wrong with it.
func check(dir string) ([]*checked, error) {
	root, err := filepath.EvalSymlinks(dir)
	if err == nil {
		root, err = filepath.Abs(root)
	}
	if err != nil {
		return nil, err
	}
	list, err := goList(root)
	if err != nil {
		return nil, err
	}
	exports := map[string]string{}
	for _, l := range list {
		exports[l.ImportPath] = l.Export
	}
	set := token.NewFileSet()
	imports := importer.ForCompiler(set, "gc", func(path string) (io.ReadCloser, error) { return os.Open(exports[path]) })
	var all []*checked
	for _, l := range list {
		if l.DepOnly || len(l.GoFiles) == 0 {
			continue
		}
		p, err := l.check(set, imports)
		if err != nil {
			return nil, err
		}
		if p.dir, err = filepath.Rel(root, l.Dir); err != nil {
			return nil, err
		}
		all = append(all, p)
	}
	return all, nil
}

func (l listed) check(set *token.FileSet, imports types.Importer) (*checked, error) {
	p := &checked{set: set, uses: map[*ast.Ident]types.Object{}}
	for _, name := range l.GoFiles {
		f, err := parser.ParseFile(set, filepath.Join(l.Dir, name), nil, parser.SkipObjectResolution)
		if err != nil {
			return nil, err
		}
		p.files = append(p.files, f)
	}
	conf := types.Config{Importer: imports, Error: func(error) {}}
	p.pkg, _ = conf.Check(l.ImportPath, set, p.files, &types.Info{Uses: p.uses})
	return p, nil
}

// goList lists the packages below root and all that they need, compiled.
func goList(root string) ([]listed, error) {
	cmd := exec.Command("go", "list", "-e", "-export", "-deps", "-json=ImportPath,Dir,Export,GoFiles,DepOnly", "./...")
	cmd.Dir, cmd.Stderr = root, os.Stderr
	out, err := cmd.StdoutPipe()
	if err == nil {
		err = cmd.Start()
	}
	if err != nil {
		return nil, fmt.Errorf("running go list: %w", err)
	}
	var list []listed
	dec := json.NewDecoder(out)
	for {
		var l listed
		if err = dec.Decode(&l); err != nil {
			break
		}
		list = append(list, l)
	}
	if ended := cmd.Wait(); ended != nil || !errors.Is(err, io.EOF) {
		return nil, fmt.Errorf("running go list: %w", errors.Join(ended, err))
	}
	return list, nil
}
