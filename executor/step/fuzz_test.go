package step_test

import (
	"encoding/json"
	"path/filepath"
	"testing"

	"github.com/ratchetd/ratchet/executor"
	"github.com/ratchetd/ratchet/executor/step"
)

// FuzzCheck: whatever a job says, Check returns, and the paths that it lets
// pass are absolute and have no way up.
func FuzzCheck(f *testing.F) {
	for _, with := range []string{
		`{}`, `{"argv":["true"],"env":{"A":"b"},"okCodes":[0,3]}`, `{"path":"/a/b","content":""}`, `{"delay":"1s"}`,
		`{"url":"https://u:p@h/f?x","sha256":"` + digest(nil) + `","to":"/f","rate":"1MB","headers":{"A":"b"}}`,
		`{"path":"/a/..","base64":"YQ==","owner":"a:b","mode":"7777"}`,
	} {
		f.Add([]byte(with))
	}
	kinds := []executor.Kind{step.Command{}, step.Download{}, step.File{}, step.Reboot{}}
	f.Fuzz(func(t *testing.T, with []byte) {
		for _, kind := range kinds {
			if kind.Check(with) != nil {
				continue
			}
			var p struct{ Path, To, From, Dir string }
			if err := json.Unmarshal(with, &p); err != nil {
				t.Fatalf("%T lets %q pass, which is %v", kind, with, err)
			}
			for _, path := range []string{p.Path, p.To, p.From, p.Dir} {
				if path != "" && (!filepath.IsAbs(path) || filepath.Clean(path) != path) {
					t.Errorf("%T lets the path %q pass", kind, path)
				}
			}
		}
	})
}
