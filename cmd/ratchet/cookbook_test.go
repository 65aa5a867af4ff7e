package main

import (
	"bytes"
	"os"
	"path/filepath"
	"strings"
	"testing"

	"github.com/ratchetd/ratchet/agent"
	"github.com/ratchetd/ratchet/executor"
)

// TestTheCookbookIsGoodAndTold holds every recipe against what a device wants,
// and the README against the recipes.
func TestTheCookbookIsGoodAndTold(t *testing.T) {
	files, err := filepath.Glob("../../scripts/cookbook/*.yaml")
	if err != nil || len(files) != 10 {
		t.Fatalf("got %d recipes, %v, want 10", len(files), err)
	}
	readme, err := os.ReadFile("../../README.md")
	if err != nil {
		t.Fatal(err)
	}
	for _, file := range files {
		var out bytes.Buffer
		s := &session{out: &out}
		src, err := s.read(file)
		if err != nil {
			t.Fatal(err)
		}
		if found := src.problems(); len(found) > 0 {
			t.Errorf("%s: got %s", file, strings.Join(found, "\n"))
			continue
		}
		job, err := executor.Parse(src.text)
		if err != nil {
			t.Fatal(err)
		}
		if job.Description == "" {
			t.Errorf("%s does not say what it is for", file)
		}
		if _, err := agent.Explain(src.text); err != nil {
			t.Errorf("%s cannot be explained: %v", file, err)
		}
		if !strings.Contains(string(readme), "`"+filepath.Base(file)+"`") {
			t.Errorf("README.md does not name %s", filepath.Base(file))
		}
	}
}
