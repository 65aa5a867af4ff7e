package step_test

import (
	"context"
	"encoding/json"
	"os"
	"path/filepath"
	"strings"
	"testing"

	"github.com/ratchetd/ratchet/executor"
	"github.com/ratchetd/ratchet/executor/step"
	"github.com/ratchetd/ratchet/executor/step/safefile"
	"github.com/ratchetd/ratchet/executor/step/steptest"
)

// late is a kind that learns from its parameters where its device is.
type late struct{ kind func() undoable }

type undoable interface {
	executor.Kind
	executor.Undoer
}

func (l late) Check(with json.RawMessage) error                 { return l.kind().Check(with) }
func (l late) Run(ctx context.Context, t *executor.Task) error  { return l.kind().Run(ctx, t) }
func (l late) Undo(ctx context.Context, t *executor.Task) error { return l.kind().Undo(ctx, t) }

// configCases are what the suite cuts of the kind config.
func configCases(t *testing.T) []steptest.Case {
	uci := standIn(t, "uci/uci")
	plain := func(f safefile.Files) executor.Kind { return step.Config{Files: f} }
	var dir string
	onUCI := func(f safefile.Files) executor.Kind {
		return late{func() undoable { return step.Config{Files: f, UCI: uci, UCIDir: dir} }}
	}
	within := func(format string) func(string) string {
		return func(d string) string {
			dir = d
			return strings.ReplaceAll(format, "DIR", d)
		}
	}
	return []steptest.Case{
		{Name: "config, two files", Kind: plain, Setup: olds("a", "b"), With: within(
			`{"files":[{"path":"DIR/a","content":"new\n","mode":"0640"},{"path":"DIR/b","absent":true}]}`)},
		{Name: "config, in a new folder", Kind: plain, With: within(
			`{"files":[{"path":"DIR/x/f","content":"1"},{"path":"DIR/x/g","content":"2"}]}`)},
		{Name: "config, validate and apply", Kind: plain, Setup: olds("a", "b"), With: within(
			`{"files":[{"path":"DIR/a","content":"new\n"}],"validate":["grep","-qx","new",".DIR/a"],"apply":["cp","DIR/a","DIR/b"]}`)},
		{Name: "config, nothing to change", Kind: plain, Setup: olds("a"), With: within(
			`{"files":[{"path":"DIR/a","content":"old\n"}],"apply":["true"]}`)},
		{Name: "config, uci", Kind: onUCI, Setup: wireless, With: within(
			`{"uci":{"wireless.@wifi-iface[0]":null}}`)},
	}
}

func olds(names ...string) func(string) error {
	return func(dir string) error {
		for _, name := range names {
			if err := old(name)(dir); err != nil {
				return err
			}
		}
		return nil
	}
}

const wirelessConfig = `# made by hand

config wifi-device 'radio0'
	option channel 'auto'
	list scan_list '1'
	list scan_list '6'
	option country 'DE'

config wifi-iface
	option ssid 'guests'

config wifi-iface
	option ssid 'it'\''s "ours"'
`

func wireless(dir string) error {
	return os.WriteFile(filepath.Join(dir, "wireless"), []byte(wirelessConfig), 0o600)
}

// standIn is the path of a program below testdata.
func standIn(t *testing.T, name string) string {
	t.Helper()
	path, err := filepath.Abs(filepath.Join("testdata", name))
	if err != nil {
		t.Fatal(err)
	}
	return path
}
