package data_test

import (
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"os"
	"path/filepath"
	"strings"
	"testing"
	"time"

	"github.com/ratchetd/ratchet/executor"
	"github.com/ratchetd/ratchet/executor/step/data"
	"github.com/ratchetd/ratchet/executor/step/policy"
	"github.com/ratchetd/ratchet/executor/step/process"
	"github.com/ratchetd/ratchet/executor/step/steptest"
)

func TestMain(m *testing.M) {
	code := m.Run()
	steptest.RemoveWorker()
	os.Exit(code)
}

// dataStep is a data step that reads content from a file, and that file.
func dataStep(t *testing.T, format, jq, content string) (a *steptest.Attempt, in, out string) {
	t.Helper()
	dir := t.TempDir()
	in, out = filepath.Join(dir, "in"), filepath.Join(dir, "out")
	steptest.WriteFile(t, in, content)
	return steptest.NewAttempt(t, `{"inputs":[%q],"format":%q,"jq":%q,"output":%q}`, in, format, jq, out), in, out
}

func TestDataPutsFilesThroughJQ(t *testing.T) {
	const lines = `{"v":1,"a":"x"}` + "\n\n" + `{"v":20000000000000001,"a":"ü"}` + "\r\n" + `{"v":2.50}`
	const table = "\uFEFFname,n\r\n\"a \"\"b\"\", c\",1\r\n\"two\nlines\",02\n"
	for _, tt := range []struct {
		name, format, content, jq, out string
		result                         string
	}{
		{"filter", "jsonl", lines, `inputs | select(.a).v`, "1\n20000000000000001\n", `{"bytes":61,"records":3,"values":2}`},
		{"transform", "jsonl", lines, `inputs | {a, w: [.v]}`,
			`{"a":"x","w":[1]}` + "\n" + `{"a":"ü","w":[20000000000000001]}` + "\n" + `{"a":null,"w":[2.5]}` + "\n", `{"bytes":61,"records":3,"values":3}`},
		{"aggregate", "jsonl", lines, `reduce inputs as $r (0; . + ($r.v | floor % 10))`, "4\n", `{"bytes":61,"records":3,"values":1}`},
		{"whole", "jsonl", lines, `[inputs] | length`, "3\n", `{"bytes":61,"records":3,"values":1}`},
		{"one by one", "jsonl", lines, `input.v, input.a`, "1\n\"ü\"\n", `{"bytes":61,"records":2,"values":2}`},
		{"the input is null", "jsonl", lines, `.`, "null\n", `{"bytes":0,"records":0,"values":1}`},
		{"nothing comes out", "jsonl", lines, `inputs | empty`, "", `{"bytes":61,"records":3,"values":0}`},
		{"an empty file", "jsonl", "", `[inputs]`, "[]\n", `{"bytes":0,"records":0,"values":1}`},
		{"halt ends it", "jsonl", lines, `input, halt, input`, `{"a":"x","v":1}` + "\n", `{"bytes":61,"records":1,"values":1}`},
		{"functions", "jsonl", lines, `def f: .v * 2; [limit(1; inputs | f)]`, "[2]\n", `{"bytes":61,"records":1,"values":1}`},
		{"text", "text", "b\r\na\n\nlast", `[inputs]`, `["b","a","","last"]` + "\n", `{"bytes":10,"records":4,"values":1}`},
		{"lenient", "text", "1\nno\n2", `[inputs | fromjson?]`, "[1,2]\n", `{"bytes":6,"records":3,"values":1}`},
		{"csv", "csv", table, `inputs`, `{"n":"1","name":"a \"b\", c"}` + "\n" + `{"n":"02","name":"two\nlines"}` + "\n", `{"bytes":42,"records":2,"values":2}`},
		{"csv without records", "csv", "a,b\n", `[inputs]`, "[]\n", `{"bytes":4,"records":0,"values":1}`},
		{"the environment is empty", "jsonl", "", `[env, $ENV]`, "[{},{}]\n", `{"bytes":0,"records":0,"values":1}`},
	} {
		t.Run(tt.name, func(t *testing.T) {
			a, _, out := dataStep(t, tt.format, tt.jq, tt.content)
			task := a.Next()
			if err := steptest.Data(t).Run(t.Context(), task); err != nil {
				t.Fatal(err)
			}
			if got := steptest.ReadFile(t, out); got != tt.out {
				t.Errorf("got %q, want %q", got, tt.out)
			}
			if got := string(task.Result); got != tt.result {
				t.Errorf("got result %s, want %s", got, tt.result)
			}
		})
	}
}

func TestDataNamesTheLineThatIsWrong(t *testing.T) {
	long := strings.Repeat("x", 1<<20)
	for _, tt := range []struct{ name, format, content, jq, err string }{
		{"not JSON", "jsonl", "1\n{\"a\":\n2\n", `inputs`, "in, line 2: not JSON: it ends too early (to pass over such lines"},
		{"two values", "jsonl", "1 2\n", `inputs`, "in, line 1: more text after the JSON value"},
		{"what is wrong cannot be caught", "jsonl", "1\nx\n3\n", `[inputs?], (try input catch 7)`, "in, line 2: not JSON at byte 1"},
		{"not UTF-8", "jsonl", "1\n\"\xff\"\n", `inputs`, "in, line 2: not valid UTF-8"},
		{"text that is not UTF-8", "text", "ok\n\xc3", `inputs`, "in, line 2: not valid UTF-8"},
		{"csv that is not UTF-8", "csv", "a\nok\n\xc3\n", `inputs`, "in, line 3: not valid UTF-8"},
		{"too long a line", "jsonl", "1\n\"" + long + "\"\n", `inputs`, "in, line 2: longer than 1024 KiB"},
		{"too long a text", "text", long + long, `inputs`, "in, line 1: longer than 1024 KiB"},
		{"a quote that stays open", "csv", "a\n1\n\"" + long + long, `inputs`, "in, line 3: longer than 1024 KiB"},
		{"ragged", "csv", "a,b\n1,2\n3\n", `inputs`, "in, line 3: not as many fields as the first line has names"},
		{"ragged, behind a long one", "csv", "a,b\n\"1\n\n\",2\n3,4,5\n", `inputs`, "in, line 5: not as many fields"},
		{"a stray quote", "csv", "a\nb\"c\n", `inputs`, "in, line 2: not CSV: bare \""},
		{"two columns of one name", "csv", "a,b,a\n", `inputs`, `in, line 1: two columns have the name "a"`},
		{"a program that fails", "jsonl", "1\n\n\"a\"\n4\n", `inputs | . - 1`, "jq: cannot subtract: string (\"a\") and number (1) (it had read up to "},
		{"where a program failed", "jsonl", "1\n\n\"a\"\n4\n", `inputs | . - 1`, "in, line 3)"},
		{"a program's own error", "jsonl", "1\n", `input | error("too hot")`, "too hot"},
		{"an error of its own before it reads", "jsonl", "1\n", `error("too hot")`, "jq: error: too hot"},
		{"more than there is", "jsonl", "1\n", `input, input`, "jq: there is no more input (it had read"},
	} {
		t.Run(tt.name, func(t *testing.T) {
			a, _, out := dataStep(t, tt.format, tt.jq, tt.content)
			steptest.WriteFile(t, out, "old")
			steptest.WantError(t, a.Run(t.Context(), steptest.Data(t)), tt.err)
			if got := steptest.ReadFile(t, out); got != "old" {
				t.Errorf("got output %.40q, want the old one", got)
			}
			if left, _ := filepath.Glob(filepath.Join(filepath.Dir(out), ".*")); len(left) > 0 {
				t.Errorf("got %q left behind, want nothing", left)
			}
		})
	}
}

func TestDataRefuses(t *testing.T) {
	for with, want := range map[string]string{
		`{}`: "inputs: 0 patterns",
		`{"inputs":["a"],"format":"csv","jq":".","output":"/o"}`:                     `inputs: [0]: "a": want an absolute path`,
		`{"inputs":["/a/../b"],"format":"csv","jq":".","output":"/o"}`:               `inputs: [0]: "/a/../b"`,
		`{"inputs":["/a["],"format":"csv","jq":".","output":"/o"}`:                   `inputs: [0]: "/a["`,
		`{"inputs":["/a"],"jq":".","output":"/o"}`:                                   `format: "": want jsonl, csv or text`,
		`{"inputs":["/a"],"format":"csv","output":"/o"}`:                             "jq: want a program",
		`{"inputs":["/a"],"format":"csv","jq":"inputs |","output":"/o"}`:             "jq: not jq at byte 8",
		`{"inputs":["/a"],"format":"csv","jq":"nosuch","output":"/o"}`:               "jq: function not defined: nosuch/0",
		`{"inputs":["/a"],"format":"csv","jq":"import \"a\" as a; .","output":"/o"}`: "jq: ",
		`{"inputs":["/a"],"format":"csv","jq":"."}`:                                  "want output, publish or both",
		`{"inputs":["/a"],"format":"csv","jq":".","output":"o"}`:                     "output: ",
		`{"inputs":["/d/*"],"format":"csv","jq":".","output":"/d/o"}`:                "inputs[0]: /d/* matches the output",
		`{"inputs":["/a"],"format":"csv","jq":".","output":"/o","out":1}`:            "out: unknown field",
	} {
		steptest.WantError(t, data.Kind{}.Check([]byte(with)), want)
	}
	long := fmt.Sprintf(`{"inputs":["/a"],"format":"csv","jq":%q,"output":"/o"}`, strings.Repeat(" ", 5000))
	steptest.WantError(t, data.Kind{}.Check([]byte(long)), "jq: the program has 5000 bytes")
}

// TestAProgramThatWantsMoreMemoryIsEnded, however it comes by it.
func TestAProgramThatWantsMoreMemoryIsEnded(t *testing.T) {
	for _, jq := range []string{
		`[inputs]`, `[range(1e9)]`, `"x" * 1000000000`, `def f: [., .] | f; 1 | f`, `"x" | until(false; . + .)`,
		`[limit(1e9; repeat(1))]`, `def f: 1 + f; f`, `.[300000000] = 1`,
	} {
		t.Run(jq, func(t *testing.T) {
			a, _, out := dataStep(t, "jsonl", jq, strings.Repeat(`{"a":[1,2,3]}`+"\n", 1<<19))
			steptest.WantError(t, a.Run(t.Context(), steptest.Data(t)), "the program wants more memory than the 20 MiB that it may have")
			if _, err := os.Stat(out); err == nil {
				t.Error("got an output, want none")
			}
		})
	}
}

func TestDataEndsWithItsStep(t *testing.T) {
	why := errors.New("cancelled by the operator")
	for _, tt := range []struct {
		name    string
		timeout time.Duration
		want    string
	}{{"timeout", 300 * time.Millisecond, "timed out after 300ms"}, {"cancel", time.Hour, why.Error()}} {
		t.Run(tt.name, func(t *testing.T) {
			k := steptest.Data(t)
			k.Groups = process.Groups{Dir: filepath.Join(t.TempDir(), "groups"), Boot: "b"}
			a, _, _ := dataStep(t, "jsonl", `def f: f; f`, "")
			a.Timeout = executor.Duration(tt.timeout)
			ctx, cancel := context.WithCancelCause(t.Context())
			time.AfterFunc(500*time.Millisecond, func() { cancel(why) })
			began := time.Now()
			steptest.WantError(t, a.Run(ctx, k), tt.want)
			if took := time.Since(began); took > 4*time.Second {
				t.Errorf("got an end after %s, want one at once: the worker must heed SIGTERM", took)
			}
		})
	}
}

func TestDataSaysThatItsWorkerWasKilled(t *testing.T) {
	for _, tt := range []struct{ script, want string }{
		{"kill -KILL $$", "the program was killed, as the kernel does when the device is short of memory"},
		{"echo fatal error: bad luck >&2; exit 2", "the worker died: exit status 2: fatal error: bad luck"},
		{"exit 0", "the worker died: exit status 0"},
		{"echo fatal error: runtime: cannot allocate memory >&2; exit 2", "wants more memory"},
	} {
		a, _, _ := dataStep(t, "jsonl", `.`, "")
		steptest.WantError(t, a.Run(t.Context(), data.Kind{Worker: []string{"/bin/sh", "-c", tt.script}}), tt.want)
	}
}

func TestDataGetsAllThatItNamesOrNothing(t *testing.T) {
	dir := t.TempDir()
	for _, name := range []string{"a.log", "b.log", "other"} {
		steptest.WriteFile(t, filepath.Join(dir, name), `"`+name+`"`+"\n")
	}
	for _, err := range []error{
		os.Mkdir(filepath.Join(dir, "d.dir"), 0o755), os.Symlink("/dev/null", filepath.Join(dir, "n.dev")),
		os.Symlink("a.log", filepath.Join(dir, "c.log")), os.WriteFile(filepath.Join(dir, "\xff.bad"), nil, 0o644),
		os.WriteFile(filepath.Join(dir, ".x.ratchet-new"), []byte("half"), 0o644),
	} {
		if err != nil {
			t.Fatal(err)
		}
	}
	for _, tt := range []struct{ inputs, out, err string }{
		{`DIR/*.log`, `["a.log","b.log","a.log"]`, ""},
		{`DIR/b.log|DIR/[ab].log|DIR/b.log`, `["b.log","a.log"]`, ""},
		{`DIR/*.none|DIR/other`, `["other"]`, ""},
		{`DIR/.x*|DIR/other`, `["other"]`, ""},
		{`DIR/*.none`, "", "inputs: DIR/*.none: matches no file"},
		{`DIR/missing`, "", "inputs: DIR/missing does not exist"},
		{`DIR/*.dir`, "", "inputs: DIR/d.dir is a directory: name its files, such as DIR/d.dir/*"},
		{`DIR/n.dev`, "", "inputs: DIR/n.dev is no regular file"},
		{`DIR/*.bad`, "", "its name is not valid UTF-8"},
		{`/proc/self/stat*`, "", "is protected: it cannot be read by a job"},
	} {
		t.Run(tt.inputs, func(t *testing.T) {
			inputs, _ := json.Marshal(strings.Split(strings.ReplaceAll(tt.inputs, "DIR", dir), "|"))
			out := filepath.Join(t.TempDir(), "out")
			a := steptest.NewAttempt(t, `{"inputs":%s,"format":"jsonl","jq":"[inputs]","output":%q}`, inputs, out)
			err := a.Run(t.Context(), steptest.Data(t))
			if tt.err != "" {
				steptest.WantError(t, err, strings.ReplaceAll(tt.err, "DIR", dir))
			} else if got := strings.TrimSpace(steptest.ReadFile(t, out)); err != nil || got != tt.out {
				t.Errorf("got %s, %v, want %s", got, err, tt.out)
			}
		})
	}
}

func TestProtectedFilesAreNoInputs(t *testing.T) {
	dir := t.TempDir()
	steptest.WriteFile(t, filepath.Join(dir, "keys"), "secret\n")
	if err := os.Symlink("keys", filepath.Join(dir, "link.log")); err != nil {
		t.Fatal(err)
	}
	k := steptest.Data(t)
	k.Policy.Protected = []string{filepath.Join(dir, "keys")}
	a := steptest.NewAttempt(t, `{"inputs":["%s/*.log"],"format":"text","jq":"inputs","output":"%s/o/o"}`, dir, dir)
	steptest.WantError(t, a.Run(t.Context(), k), "link.log is protected: it cannot be read by a job")
	a = steptest.NewAttempt(t, `{"inputs":["/etc/passwd"],"format":"text","jq":"inputs","output":"%s/keys"}`, dir)
	steptest.WantError(t, a.Run(t.Context(), k), "keys is protected: it cannot be written by a job")
}

func TestDataKeepsToThePolicy(t *testing.T) {
	k := steptest.Data(t)
	k.Policy.Paths = []string{"/opt"}
	a, _, out := dataStep(t, "jsonl", `range(100)`, "")
	steptest.WantError(t, k.Check(a.With), "policy.paths does not allow it to be written")
	steptest.WantError(t, a.Run(t.Context(), k), "policy.paths does not allow it to be written")
	k.Policy = policy.Policy{MaxSize: 100}
	steptest.WantError(t, a.Run(t.Context(), k), "policy.maxSize allows 100")
	if _, err := os.Stat(out); err == nil {
		t.Error("got an output, want none")
	}
}

func TestTheOutputIsNoInput(t *testing.T) {
	dir := t.TempDir()
	steptest.WriteFile(t, filepath.Join(dir, "f"), "1\n")
	if err := os.Link(filepath.Join(dir, "f"), filepath.Join(dir, "g")); err != nil {
		t.Fatal(err)
	}
	a := steptest.NewAttempt(t, `{"inputs":["%s/g"],"format":"jsonl","jq":"inputs","output":"%s/f"}`, dir, dir)
	steptest.WantError(t, a.Run(t.Context(), steptest.Data(t)), "g is the output, which a second run would read")
}

// TestTooManyFilesAreAnError and cost neither time nor memory.
func TestTooManyFilesAreAnError(t *testing.T) {
	t.Parallel()
	dir := t.TempDir()
	for i := range 10_001 {
		steptest.WriteFile(t, filepath.Join(dir, fmt.Sprint(i)), "")
	}
	a := steptest.NewAttempt(t, `{"inputs":["%s/*"],"format":"jsonl","jq":"inputs","output":"/tmp/never/o"}`, dir)
	steptest.WantError(t, a.Run(t.Context(), steptest.Data(t)), "matches too much: at most 10000 files")
	a = steptest.NewAttempt(t, `{"inputs":["%s/1*","%[1]s/[02-9]*","%[1]s/0"],"format":"jsonl","jq":"inputs","output":"/tmp/never/o"}`, dir)
	steptest.WantError(t, a.Run(t.Context(), steptest.Data(t)), "matches too much: at most 10000 files")
}

func TestDataTellsHowFarItIs(t *testing.T) {
	t.Parallel()
	a, _, _ := dataStep(t, "jsonl", `inputs | empty`, strings.Repeat("1\n", 1<<20))
	if err := a.Run(t.Context(), steptest.Data(t)); err != nil {
		t.Fatal(err)
	}
	if a.Fraction < 0.99 || a.Fraction > 1 {
		t.Errorf("got progress %v at the end, want about 1", a.Fraction)
	}
}
