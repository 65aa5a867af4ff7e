package main

import (
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"os"
	"path/filepath"
	"strings"
)

// A control is a way to break the promises, by which one sees that the judge would
// notice: it must be found within that many cuts.
type control struct {
	name string
	cuts int
	// The agent is built with one file in which old is replaced.
	file, old, new string
	options        string // of the mount
	lies           bool
}

var controls = []control{
	{name: "the journal is not synced", cuts: 40, file: "store/file.go", old: "b.AllocSize = growth", new: "b.AllocSize = growth\n\tb.NoSync = true"},
	{name: "files are not synced", cuts: 60, file: "executor/step/safefile/write.go", old: "return f.Do(\"sync\", func() error { return fsync(path) }, path)", new: "return nil"},
	{name: "directories are not synced", cuts: 60, file: "executor/step/safefile/write.go", old: "return f.Do(\"syncdir\", func() error { return fsync(dir) }, dir)", new: "return nil"},
	{name: "an intent is written after the act", cuts: 40, file: "executor/walk.go", old: "if err := w.commit(); err != nil {\n\t\treturn err\n\t}\n\treturn w.runStep(ctx, begun)", new: "return w.runStep(ctx, begun)"},
	{name: "the file system has no barriers", cuts: 40, options: "noatime,barrier=0"},
	{name: "the disk lies", cuts: 40, lies: true},
}

// play runs every control, and returns an error if one finds nothing.
func play(ctx context.Context, out io.Writer, dir string, run func(context.Context, control, string) error) error {
	var blind []error
	for i, c := range controls {
		err := run(ctx, c, filepath.Join(dir, fmt.Sprint("control-", i)))
		switch {
		case ctx.Err() != nil:
			return context.Cause(ctx)
		case err == nil:
			blind = append(blind, fmt.Errorf("control: %s: nothing was found in %d cuts", c.name, c.cuts))
			fmt.Fprintf(out, "control: %-38s NOT FOUND in %d cuts\n", c.name, c.cuts)
		case errors.Is(err, errViolated) || errors.Is(err, errSilent):
			fmt.Fprintf(out, "control: %-38s found: %v\n", c.name, err)
		default:
			return fmt.Errorf("control: %s: %w", c.name, err)
		}
	}
	return errors.Join(blind...)
}

// overlay is what `go build` needs to build an agent with the control's fault in it.
func (c control) overlay(dir string) ([]string, error) {
	if c.file == "" {
		return nil, nil
	}
	text, err := os.ReadFile(c.file)
	if err != nil {
		return nil, err
	}
	if strings.Count(string(text), c.old) != 1 {
		return nil, fmt.Errorf("%s has not one place with %q: mend the control", c.file, c.old)
	}
	source, err := filepath.Abs(c.file)
	if err != nil {
		return nil, err
	}
	changed, err := filepath.Abs(filepath.Join(dir, filepath.Base(c.file)+".txt"))
	if err != nil {
		return nil, err
	}
	list, err := json.Marshal(map[string]map[string]string{"Replace": {source: changed}})
	overlay := filepath.Join(dir, "overlay.json")
	return []string{"-overlay", overlay}, errors.Join(err, os.WriteFile(changed, []byte(strings.Replace(string(text), c.old, c.new, 1)), 0o644), os.WriteFile(overlay, list, 0o644))
}
