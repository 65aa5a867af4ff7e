package main

import (
	"fmt"
	"os"
	"path/filepath"
	"slices"
	"strings"
	"testing"
)

func tree(t *testing.T, files map[string]string) *source {
	t.Helper()
	dir := t.TempDir()
	t.Chdir(dir)
	for name, text := range files {
		if err := os.MkdirAll(filepath.Dir(name), 0o755); err != nil {
			t.Fatal(err)
		}
		if err := os.WriteFile(name, []byte(text), 0o644); err != nil {
			t.Fatal(err)
		}
	}
	s, err := measure(".")
	if err != nil {
		t.Fatal(err)
	}
	return s
}

func TestEveryBreachIsNamed(t *testing.T) {
	long := "func long() {\n" + strings.Repeat("\n", 79) + "}\n"
	s := tree(t, map[string]string{
		"a.go": "package a\n\nfunc Bare() {}\n\nfunc init() {}\n\ntype wide interface{ A(); B(); C(); D(); E(); F(); G() }\n\n" +
			"// T is documented.\ntype T struct{}\n\nfunc (*T) Method() {}\n\nfunc (*T) Error() string { return \"\" }\n\nconst Max = 1\n",
		"b.go":          "package a\n\n" + long,
		"a_test.go":     "package a\n" + strings.Repeat("\n", 600),
		"testdata/c.go": "no Go at all",
	})
	got := s.broken()
	want := []string{
		"a_test.go: 601 lines, at most 600",
		"b.go long: 81 lines, at most 80",
		"a.go wide: 7 methods, at most 6",
		"a.go: an init function",
		"a.go Bare: exported without a comment",
		"a.go Method: exported without a comment",
		"a.go Max: exported without a comment",
	}
	if !slices.Equal(got, want) {
		t.Errorf("got  %q\nwant %q", got, want)
	}
}

func TestManySmallBreachesCountTogether(t *testing.T) {
	files := map[string]string{}
	for i := range mostIfaces + 1 {
		files[fmt.Sprintf("f%d.go", i)] = fmt.Sprintf("package a\n\ntype i%d interface{ M() }\n\nfunc f%d() {\n%s}\n%s",
			i, i, strings.Repeat("\n", p90Func), strings.Repeat("\n", medianFile))
	}
	got := strings.Join(tree(t, files).broken(), "\n")
	for _, want := range []string{"the median file", "one function in ten", "13 interfaces, at most 12"} {
		if !strings.Contains(got, want) {
			t.Errorf("got %q, want %q in it", got, want)
		}
	}
}

func TestWhatIsDocumentedOrNotExportedIsKept(t *testing.T) {
	s := tree(t, map[string]string{"a.go": `package a

// Limits of something.
const (
	Max = 1
	Min = 0
)

type hidden struct{}

func (hidden) Method() {}

type Line int // is documented behind

type empty interface{}

type closed interface{ one() }
`})
	if got := s.broken(); len(got) > 0 || len(s.ifaces) > 0 {
		t.Errorf("got %q and the interfaces %v, want nothing", got, s.ifaces)
	}
}
