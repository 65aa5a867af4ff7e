package packages

import (
	"os"
	"path"
	"regexp"
	"strings"
	"testing"
)

// TestEverySampleNamesTheStateDirectory: what lies in RAM there, or is another user's,
// loses every job, and nobody looks for a key that he has not seen.
func TestEverySampleNamesTheStateDirectory(t *testing.T) {
	samples := map[string]string{}
	for _, name := range []string{"ratchet.toml", "../openwrt/ratchet.config", "../install.sh"} {
		text, err := os.ReadFile(name)
		if err != nil {
			t.Fatal(err)
		}
		samples[name] = string(text)
	}
	readme, err := os.ReadFile("../../README.md")
	if err != nil {
		t.Fatal(err)
	}
	for _, m := range regexp.MustCompile("(?s)```toml\n(.*?)```").FindAllStringSubmatch(string(readme), -1) {
		if strings.Contains(m[1], "[link]") {
			name, _, _ := strings.Cut(m[1], "\n")
			samples["README.md, "+name] = m[1]
		}
	}
	if len(samples) < 6 {
		t.Fatalf("got %d samples, want those of the README too", len(samples))
	}
	state := regexp.MustCompile(`(?m)^\s*#?\s*(state = "/|option state '/)`)
	for name, text := range samples {
		if !state.MatchString(text) {
			t.Errorf("%s names no state", name)
		}
	}
}

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
