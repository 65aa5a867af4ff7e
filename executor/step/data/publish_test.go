package data_test

import (
	"context"
	"errors"
	"fmt"
	"os"
	"path/filepath"
	"strings"
	"testing"

	"github.com/ratchetd/ratchet/executor/step/data"
	"github.com/ratchetd/ratchet/executor/step/steptest"
)

func TestDataPublishesWholeLinesInParts(t *testing.T) {
	for _, output := range []bool{false, true} {
		t.Run(fmt.Sprintf("output %v", output), func(t *testing.T) {
			k := steptest.Data(t)
			var got []string
			k.Publish = func(_ context.Context, job string, seq int, lines []byte) error {
				if job != "job-1" || seq != len(got) || len(lines) > data.MaxPublish || lines[len(lines)-1] != '\n' {
					t.Errorf("got part %d of %s with %d bytes, want whole lines of part %d of job-1", seq, job, len(lines), len(got))
				}
				got = append(got, string(lines))
				return nil
			}
			a, in, out := dataStep(t, "jsonl", `range(30000) | "value \(.)", if . == 7 then "x" * 64000 else empty end`, "")
			if !output {
				a.With = fmt.Appendf(nil, `{"inputs":[%q],"format":"jsonl","jq":"range(30000)","publish":true}`, in)
			} else {
				a.With = fmt.Appendf(nil, `%s,"publish":true}`, strings.TrimSuffix(string(a.With), "}"))
			}
			if err := a.Run(t.Context(), k); err != nil {
				t.Fatal(err)
			}
			all := strings.Join(got, "")
			if n := strings.Count(all, "\n"); len(got) < 3 || output && (n != 30001 || all != steptest.ReadFile(t, out)) || !output && n != 30000 {
				t.Errorf("got %d lines in %d parts, want 30000 in several, and the same in the output", n, len(got))
			}
			if left, _ := os.ReadDir(a.Dir); len(left) > 0 {
				t.Errorf("got %v left in the task's directory, want nothing", left)
			}
		})
	}
}

func TestWhatCannotBePublishedFailsTheStep(t *testing.T) {
	for _, tt := range []struct {
		name, jq, want string
		publish        func(context.Context, string, int, []byte) error
	}{
		{"too long a value", `"x" * 65000`, "a value of 65002 bytes is too long to be published: at most 64511 are taken",
			func(context.Context, string, int, []byte) error { return errors.New("must not be called") }},
		{"no connection", `1`, "publishing part 0: offline", func(context.Context, string, int, []byte) error { return errors.New("offline") }},
		{"no publisher", `1`, "this agent publishes nothing", nil},
	} {
		t.Run(tt.name, func(t *testing.T) {
			k := steptest.Data(t)
			k.Publish = tt.publish
			a, _, out := dataStep(t, "jsonl", tt.jq, "")
			a.With = fmt.Appendf(nil, `%s,"publish":true}`, strings.TrimSuffix(string(a.With), "}"))
			steptest.WantError(t, a.Run(t.Context(), k), tt.want)
			if _, err := os.Stat(out); err == nil {
				t.Error("got an output, want none")
			}
		})
	}
}

func TestDataUndoBringsBackWhatWas(t *testing.T) {
	a, _, out := dataStep(t, "text", `inputs`, "new\n")
	if err := os.WriteFile(out, []byte("old\n"), 0o640); err != nil {
		t.Fatal(err)
	}
	k := steptest.Data(t)
	if err := a.Run(t.Context(), k); err != nil {
		t.Fatal(err)
	}
	if got := steptest.ReadFile(t, out); got != "\"new\"\n" {
		t.Errorf("got %q, want the new output", got)
	}
	if info, err := os.Stat(out); err != nil || info.Mode() != 0o640 {
		t.Errorf("got mode %v, %v, want that of the old output", info.Mode(), err)
	}
	for range 2 {
		if err := a.Undo(k); err != nil {
			t.Fatal(err)
		}
		if got := steptest.ReadFile(t, out); got != "old\n" {
			t.Errorf("got %q after undo, want the old output", got)
		}
	}
	if names, _ := filepath.Glob(filepath.Join(filepath.Dir(out), "*")); len(names) != 2 {
		t.Errorf("got %q, want nothing more than before", names)
	}
}
