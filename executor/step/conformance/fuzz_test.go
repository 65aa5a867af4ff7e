package conformance_test

import (
	"encoding/json"
	"path/filepath"
	"testing"

	"github.com/ratchetd/ratchet/executor"
	"github.com/ratchetd/ratchet/executor/step"
	"github.com/ratchetd/ratchet/executor/step/config"
	"github.com/ratchetd/ratchet/executor/step/data"
	"github.com/ratchetd/ratchet/executor/step/diagnostic"
	"github.com/ratchetd/ratchet/executor/step/packages"
	"github.com/ratchetd/ratchet/executor/step/steptest"
	"github.com/ratchetd/ratchet/executor/step/upload"
)

// FuzzCheck: whatever a job says, Check returns, and the paths that it lets
// pass are absolute and have no way up.
func FuzzCheck(f *testing.F) {
	for _, with := range []string{
		`{}`, `{"argv":["true"],"env":{"A":"b"},"okCodes":[0,3]}`, `{"path":"/a/b","content":""}`, `{"delay":"1s"}`,
		`{"url":"https://u:p@h/f?x","sha256":"` + steptest.Digest(nil) + `","to":"/f","rate":"1MB","headers":{"A":"b"}}`,
		`{"path":"/a/..","base64":"YQ==","owner":"a:b","mode":"7777"}`,
		`{"files":[{"path":"/a/../b","content":"x"}],"uci":{"a.@b[0].c":["d"]},"validate":["true"],"apply":["ifup",{"jq":".vars.x"}]}`,
		`{"install":["a=1","-y"],"remove":["b"],"upgrade":true,"manager":"opkg"}`, `{"name":"../../bin/sh","action":"start"}`,
		`{"name":"../net","content":"[link]"}`, `{"name":"a","with":{"b":[1]}}`, `{"paths":["/a/*"],"url":"http://h/","name":"../x"}`,
		`{"inputs":["/a/*"],"format":"csv","jq":"inputs","output":"/b/../c"}`,
		`{"checks":[{"ping":"-f"},{"disk":"/","below":90}],"collect":{"files":["/a/*"],"to":"/b/../c","maxBytes":"1MB"}}`,
	} {
		f.Add([]byte(with))
	}
	kinds := []executor.Kind{step.Command{}, step.Download{}, step.File{}, step.Reboot{},
		config.Kind{}, step.Service{}, packages.Kind{}, step.Settings{}, step.Plugin{}, upload.Kind{}, data.Kind{}, diagnostic.Kind{}}
	f.Fuzz(func(t *testing.T, with []byte) {
		for _, kind := range kinds {
			if kind.Check(with) != nil {
				continue
			}
			var p struct {
				Path, To, From, Dir, Output string
				Files                       []struct{ Path, From string }
				Collect                     struct{ To string }
			}
			if err := json.Unmarshal(with, &p); err != nil {
				t.Fatalf("%T lets %q pass, which is %v", kind, with, err)
			}
			paths := []string{p.Path, p.To, p.From, p.Dir, p.Output, p.Collect.To}
			for _, f := range p.Files {
				paths = append(paths, f.Path, f.From)
			}
			for _, path := range paths {
				if path != "" && (!filepath.IsAbs(path) || filepath.Clean(path) != path) {
					t.Errorf("%T lets the path %q pass", kind, path)
				}
			}
		}
	})
}
