package packages

import (
	"os"
	"path"
	"regexp"
	"strings"
	"testing"
)

// TestNothingOfAPackageLiesWhereTheExamplesListCommands: what a policy's commands
// match a job may run as root with any argument, and the launcher starts programs.
func TestNothingOfAPackageLiesWhereTheExamplesListCommands(t *testing.T) {
	read := func(name string) string {
		t.Helper()
		text, err := os.ReadFile(name)
		if err != nil {
			t.Fatal(err)
		}
		return string(text)
	}
	var patterns []string
	for _, example := range []string{"../../README.md", "ratchet.toml", "../openwrt/ratchet.config"} {
		for _, m := range regexp.MustCompile(`(?m)commands? *= *\[(.*?)\]|list command '(.*)'`).FindAllStringSubmatch(read(example), -1) {
			for _, p := range strings.Split(m[1]+m[2], ",") {
				patterns = append(patterns, strings.Trim(p, `" `))
			}
		}
	}
	packaged := regexp.MustCompile(`dst: ([^,}]+)`).FindAllStringSubmatch(read("nfpm.yaml"), -1)
	if len(patterns) < 2 || len(packaged) < 15 {
		t.Fatalf("got %d patterns and %d files", len(patterns), len(packaged))
	}
	launchers := 0
	for _, file := range packaged {
		if strings.HasSuffix(file[1], "ratchetd-start") {
			launchers++
			if dir := path.Dir(file[1]); dir != "/usr/libexec/ratchetd" {
				t.Errorf("the launcher lies in %s", dir)
			}
		}
		for _, p := range patterns {
			if ok, err := path.Match(p, file[1]); ok || err != nil {
				t.Errorf("%s matches %s, %v", file[1], p, err)
			}
		}
	}
	if launchers != 2 {
		t.Errorf("got %d launchers, want one for Linux and one for OpenWrt", launchers)
	}
}
