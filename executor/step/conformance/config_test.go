package conformance_test

import (
	"strings"
	"testing"

	"github.com/ratchetd/ratchet/executor"
	"github.com/ratchetd/ratchet/executor/step/config"
	"github.com/ratchetd/ratchet/executor/step/safefile"
	"github.com/ratchetd/ratchet/executor/step/steptest"
)

// configCases are what the suite cuts of the kind config.
func configCases(t *testing.T) []steptest.Case {
	uci := steptest.StandIn(t, "uci/uci")
	plain := func(f safefile.Files) executor.Kind { return config.Kind{Files: f} }
	var dir string
	onUCI := func(f safefile.Files) executor.Kind {
		return steptest.Late{Kind: func() executor.Kind { return config.Kind{Files: f, UCI: uci, UCIDir: dir} }}
	}
	within := func(format string) func(string) string {
		return func(d string) string {
			dir = d
			return strings.ReplaceAll(format, "DIR", d)
		}
	}
	return []steptest.Case{
		{Name: "config, two files", Kind: plain, Setup: steptest.Olds("a", "b"), With: within(
			`{"files":[{"path":"DIR/a","content":"new\n","mode":"0640"},{"path":"DIR/b","absent":true}]}`)},
		{Name: "config, in a new folder", Kind: plain, With: within(
			`{"files":[{"path":"DIR/x/f","content":"1"},{"path":"DIR/x/g","content":"2"}]}`)},
		{Name: "config, validate and apply", Kind: plain, Setup: steptest.Olds("a", "b"), With: within(
			`{"files":[{"path":"DIR/a","content":"new\n"}],"validate":["grep","-qx","new",".DIR/a"],"apply":["cp","DIR/a","DIR/b"]}`)},
		{Name: "config, nothing to change", Kind: plain, Setup: steptest.Olds("a"), With: within(
			`{"files":[{"path":"DIR/a","content":"old\n"}],"apply":["true"]}`)},
		{Name: "config, uci", Kind: onUCI, Setup: steptest.Wireless, With: within(
			`{"uci":{"wireless.@wifi-iface[0]":null}}`)},
	}
}
