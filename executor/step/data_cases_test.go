package step_test

import (
	"os"
	"path/filepath"
	"strings"
	"testing"

	"github.com/ratchetd/ratchet/executor"
	"github.com/ratchetd/ratchet/executor/step"
	"github.com/ratchetd/ratchet/executor/step/safefile"
	"github.com/ratchetd/ratchet/executor/step/steptest"
)

// dataCases are the cases of the kinds data, upload and plugin for the suite.
func dataCases(t *testing.T) []steptest.Case {
	url := newReceiver(t, nil).URL
	process := func(f safefile.Files) executor.Kind {
		k := data(t)
		k.Files = f
		return k
	}
	send := func(f safefile.Files) executor.Kind { return step.Upload{Files: f} }
	with := func(text string) func(string) string {
		return func(dir string) string { return strings.NewReplacer("DIR", dir, "URL", url).Replace(text) }
	}
	return []steptest.Case{
		{Name: "data, new", Kind: process, Setup: old("in"), With: with(
			`{"inputs":["DIR/in"],"format":"text","jq":"inputs","output":"DIR/out"}`)},
		{Name: "data, replaces", Kind: process, Setup: olds("in", "out"), With: with(
			`{"inputs":["DIR/i*"],"format":"text","jq":"[inputs]","output":"DIR/out"}`)},
		{Name: "upload, one file", Kind: send, Setup: old("f"), With: with(`{"paths":["DIR/f"],"url":"URL/f"}`)},
		{Name: "upload, several", Kind: send, Setup: olds("f", "g"), With: with(`{"paths":["DIR/*"],"url":"URL/"}`)},
		{Name: "plugin", Kind: func(safefile.Files) executor.Kind { return step.Plugin{Dir: pluginFolder(t)} },
			Setup: old("f"), With: with(`{"name":"keep","with":{"path":"DIR/f"}}`)},
	}
}

// pluginFolder holds a plugin that changes a file as the contract asks for.
func pluginFolder(t *testing.T) string {
	t.Helper()
	dir := t.TempDir()
	installPlugin(t, dir, "keep", `#!/bin/sh
set -eu
input=$(cat)
path=$(expr "$input" : '.*"path":"\([^"]*\)"')
case $1:$input in
run:*'"state":null'*) echo '{"state":{"was":"old"}}' >&3; read -r ok <&4; printf 'new\n' >"$path" ;;
run:*) printf 'new\n' >"$path" ;;
undo:*'"state":null'*) ;;
undo:*) printf 'old\n' >"$path" ;;
verify:*) [ "$(cat "$path")" = new ] ;;
*) exit 64 ;;
esac
`)
	return dir
}

func installPlugin(t *testing.T, dir, name, text string) {
	t.Helper()
	if err := os.WriteFile(filepath.Join(dir, name), []byte(text), 0o755); err != nil {
		t.Fatal(err)
	}
	for path, mode := range map[string]os.FileMode{dir: 0o755, filepath.Join(dir, name): 0o755} {
		if err := os.Chmod(path, mode); err != nil {
			t.Fatal(err)
		}
	}
}
