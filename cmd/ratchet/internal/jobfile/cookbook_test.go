package jobfile

import (
	"os"
	"path/filepath"
	"strings"
	"testing"

	"github.com/ratchetd/ratchet/agent"
)

// TestTheCookbookIsGoodAndTold checks every recipe against what a device wants,
// and that the README names it.
func TestTheCookbookIsGoodAndTold(t *testing.T) {
	files, err := filepath.Glob("../../../../scripts/cookbook/*.yaml")
	if err != nil || len(files) != 10 {
		t.Fatalf("got %d recipes, %v, want 10", len(files), err)
	}
	readme, err := os.ReadFile("../../../../README.md")
	if err != nil {
		t.Fatal(err)
	}
	for _, file := range files {
		f, err := Read(file, nil)
		if err != nil {
			t.Fatal(err)
		}
		job, err := f.Job()
		if err != nil {
			t.Error(err)
			continue
		}
		if job.Description == "" {
			t.Errorf("%s does not say what it is for", file)
		}
		if _, err := agent.Explain(f.Text); err != nil {
			t.Errorf("%s cannot be explained: %v", file, err)
		}
		if !strings.Contains(string(readme), "`"+filepath.Base(file)+"`") {
			t.Errorf("README.md does not name %s", filepath.Base(file))
		}
	}
}
