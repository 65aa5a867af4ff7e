package conformance_test

import (
	"io"
	"net/http"
	"net/http/httptest"
	"strings"
	"testing"

	"github.com/ratchetd/ratchet/executor"
	"github.com/ratchetd/ratchet/executor/step"
	"github.com/ratchetd/ratchet/executor/step/safefile"
	"github.com/ratchetd/ratchet/executor/step/steptest"
	"github.com/ratchetd/ratchet/executor/step/upload"
)

// dataCases are the cases of the kinds data, upload and plugin for the suite.
func dataCases(t *testing.T) []steptest.Case {
	url := takesAll(t)
	process := func(f safefile.Files) executor.Kind {
		k := steptest.Data(t)
		k.Files = f
		return k
	}
	send := func(f safefile.Files) executor.Kind { return upload.Kind{Files: f} }
	with := func(text string) func(string) string {
		return func(dir string) string { return strings.NewReplacer("DIR", dir, "URL", url).Replace(text) }
	}
	return []steptest.Case{
		{Name: "data, new", Kind: process, Setup: steptest.Old("in"), With: with(
			`{"inputs":["DIR/in"],"format":"text","jq":"inputs","output":"DIR/out"}`)},
		{Name: "data, replaces", Kind: process, Setup: steptest.Olds("in", "out"), With: with(
			`{"inputs":["DIR/i*"],"format":"text","jq":"[inputs]","output":"DIR/out"}`)},
		{Name: "data, groups", Kind: process, Setup: steptest.Olds("in", "out"), With: with(
			`{"inputs":["DIR/i*"],"format":"text","aggregate":{"by":["."],"values":{"n":"count"}},"output":"DIR/out"}`)},
		{Name: "upload, one file", Kind: send, Setup: steptest.Old("f"), With: with(`{"paths":["DIR/f"],"url":"URL/f"}`)},
		{Name: "upload, several", Kind: send, Setup: steptest.Olds("f", "g"), With: with(`{"paths":["DIR/*"],"url":"URL/"}`)},
		{Name: "plugin", Kind: func(safefile.Files) executor.Kind { return step.Plugin{Dir: pluginFolder(t)} },
			Setup: steptest.Old("f"), With: with(`{"name":"keep","with":{"path":"DIR/f"}}`)},
	}
}

// pluginFolder holds a plugin that changes a file as the contract asks for.
func pluginFolder(t *testing.T) string {
	t.Helper()
	dir := t.TempDir()
	steptest.InstallPlugin(t, dir, "keep", `#!/bin/sh
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

// takesAll is the URL of a server that takes what it is sent.
func takesAll(t *testing.T) string {
	srv := httptest.NewServer(http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		if _, err := io.Copy(io.Discard, r.Body); err != nil {
			w.WriteHeader(http.StatusBadRequest)
		}
	}))
	t.Cleanup(srv.Close)
	return srv.URL
}
