package openwrt

import (
	"bytes"
	"fmt"
	"os"
	"os/exec"
	"path/filepath"
	"reflect"
	"strings"
	"testing"

	"github.com/BurntSushi/toml"
)

// rendered runs ratchetd-uci on that /etc/config/ratchet, beside stand-ins for
// OpenWrt's functions.sh and uci, and returns the TOML and what it said.
func rendered(t *testing.T, settings string) (text, said string, err error) {
	t.Helper()
	if _, err := exec.LookPath("busybox"); err != nil {
		t.Skip("busybox is not installed: make deps")
	}
	dir := t.TempDir()
	script, err := os.ReadFile("ratchetd-uci")
	if err != nil {
		t.Fatal(err)
	}
	functions, err := filepath.Abs("../packages/testdata/openwrt/functions")
	if err != nil {
		t.Fatal(err)
	}
	put(t, filepath.Join(dir, "ratchetd-uci"), strings.ReplaceAll(string(script), "/lib/functions.sh", functions))
	put(t, filepath.Join(dir, "ratchet"), settings)
	uci, err := filepath.Abs("../packages/testdata/openwrt/uci")
	if err != nil {
		t.Fatal(err)
	}
	put(t, filepath.Join(dir, "uci"), fmt.Sprintf("#!/bin/sh\nexec busybox sh %s \"$@\"\n", uci))
	if err := os.Chmod(filepath.Join(dir, "uci"), 0o755); err != nil {
		t.Fatal(err)
	}
	cmd := exec.Command("busybox", "sh", filepath.Join(dir, "ratchetd-uci"))
	cmd.Env = append(os.Environ(), "UCI_CONFIG_DIR="+dir, "PATH="+dir+":"+os.Getenv("PATH"))
	var out, errs bytes.Buffer
	cmd.Stdout, cmd.Stderr = &out, &errs
	err = cmd.Run()
	return out.String(), errs.String(), err
}

// table renders and reads the TOML back.
func table(t *testing.T, settings string) map[string]any {
	t.Helper()
	text, said, err := rendered(t, settings)
	if err != nil {
		t.Fatalf("%v: %s", err, said)
	}
	var got map[string]any
	if _, err := toml.Decode(text, &got); err != nil {
		t.Fatalf("%v in\n%s", err, text)
	}
	return got
}

func TestEveryListOfUCIReachesTheTOML(t *testing.T) {
	got := table(t, `
config ratchet 'main'
	list group 'routers'
	list group 'site "7" \x'
	list tag 'site=berlin'
	list var 'lan=192.168.7.1'
	list package 'dropbear'
config policy 'policy'
	list key 'RWQa'
	list key 'RWQb'
	list allow 'config'
	list command '/usr/local/lib/commands/*'
	list path '/etc/hello.d'
	list url '*.example.com'
	list user 'app'
	list reboot 'reboot'
	list reboot '-f'
config telemetry 'telemetry'
`)
	texts := func(all ...any) []any { return all }
	want := map[string]any{
		"groups": texts("routers", `site "7" \x`),
		"tags":   map[string]any{"site": "berlin"},
		"vars":   map[string]any{"lan": "192.168.7.1"},
		"link":   map[string]any{},
		"policy": map[string]any{
			"keys": texts("RWQa", "RWQb"), "allow": texts("config"), "commands": texts("/usr/local/lib/commands/*"),
			"paths": texts("/etc/hello.d"), "urls": texts("*.example.com"), "users": texts("app"), "reboot": texts("reboot", "-f"),
		},
		"telemetry": map[string]any{},
		"facts":     map[string]any{"packages": texts("dropbear")},
	}
	if !reflect.DeepEqual(got, want) {
		t.Errorf("got\n%v\nwant\n%v", got, want)
	}
}

func TestAListThatComesToNothingIsAnError(t *testing.T) {
	for name, settings := range map[string]string{
		"an option where a list is meant": "config policy 'policy'\n\toption key 'RWQa'\n",
		"of pairs":                        "config ratchet 'main'\n\toption tag 'site=berlin'\n",
	} {
		if text, said, err := rendered(t, settings); err == nil || !strings.Contains(said, "is a list: uci delete ratchet.") {
			t.Errorf("%s: got %q, %v and\n%s", name, said, err, text)
		}
	}
	if text, said, err := rendered(t, "config policy\n\toption key RWQa\n"); err == nil || !strings.Contains(said, "cannot be read") {
		t.Errorf("got %q, %v and\n%s", said, err, text)
	}
}
