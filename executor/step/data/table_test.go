package data_test

import (
	"bytes"
	"compress/gzip"
	"fmt"
	"strings"
	"testing"

	"github.com/ratchetd/ratchet/executor/step/data"
	"github.com/ratchetd/ratchet/executor/step/steptest"
)

// A table is read as it was meant, or not at all.
func TestACSVLosesNoColumn(t *testing.T) {
	for _, tt := range []struct{ name, delimiter, content, out, err string }{
		{"columns without a name", "", ",a,,\n1,2,3,4\n", `{"a":"2","column1":"1","column3":"3","column4":"4"}`, ""},
		{"a name of blanks", "", "a,  \n1,2\n", `{"a":"1","column2":"2"}`, ""},
		{"a name that was given", "", "column2,\n1,2\n", "", `in, line 1: two columns have the name "column2", the second is column 2`},
		{"semicolons", "", "a;b\n\"1,5\";2,5\n", `{"a":"1,5","b":"2,5"}`, ""},
		{"semicolons behind a mark", "", "\uFEFFa;b\n1;2\n", `{"a":"1","b":"2"}`, ""},
		{"semicolons in quotes", "", "\"a;b\",c\n1,2\n", `{"a;b":"1","c":"2"}`, ""},
		{"commas in quotes", "", "\"a,\nx\";c\n1;2\n", `{"a,\nx":"1","c":"2"}`, ""},
		{"both", "", "a;b,c\n1;2,3\n", "", `in, line 1: the header could be read in two ways: set delimiter to ";" or ","`},
		{"both, and it is said", ";", "a;b,c\n1;2,3\n", `{"a":"1","b,c":"2,3"}`, ""},
		{"both, and it is commas", ",", "a;b,c\n1;2,3\n", `{"a;b":"1;2","c":"3"}`, ""},
		{"tabs", "", "a\tb\n1\t2\n", "", `in, line 1: the header has no comma, and tabs: set delimiter to "\t"`},
		{"tabs, and it is said", "\t", "a\tb\n1\t2\n", `{"a":"1","b":"2"}`, ""},
		{"bars", "|", "a|b\n1|2\n", `{"a":"1","b":"2"}`, ""},
		{"a character of two bytes", "§", "a§b\n1§2\n", `{"a":"1","b":"2"}`, ""},
		{"what a spreadsheet says", "", "sep=;\r\na;b\r\n1,5;2\r\n", `{"a":"1,5","b":"2"}`, ""},
		{"what a spreadsheet says of tabs", "", "\uFEFFsep=\t\na\tb\n1\t2\n", `{"a":"1","b":"2"}`, ""},
		{"what a spreadsheet says, in quotes", "", "\"sep=;\"\na;b\n1;2\n", `{"a":"1","b":"2"}`, ""},
		{"what a spreadsheet says, and the job", ";", "sep=;\na;b\n1;2\n", `{"a":"1","b":"2"}`, ""},
		{"what a spreadsheet says, and the job otherwise", ",", "sep=;\na;b\n1;2\n", "", `in, line 1: it says sep=; and delimiter is ","`},
		{"a column of that name", "", "sep=,b\n1,2\n", `{"b":"2","sep=":"1"}`, ""},
		{"one column", "", "a\n1;2\n", `{"a":"1;2"}`, ""},
		{"empty", "", "", "", ""},
	} {
		t.Run(tt.name, func(t *testing.T) {
			a, in, out := dataStep(t, "csv", "inputs", tt.content)
			a.With = fmt.Appendf(nil, `{"inputs":[%q],"format":"csv","jq":"inputs","output":%q,"delimiter":%q}`, in, out, tt.delimiter)
			err := a.Run(t.Context(), steptest.Data(t))
			if tt.err != "" {
				steptest.WantError(t, err, tt.err)
				return
			}
			if err != nil {
				t.Fatal(err)
			}
			if got := strings.TrimSpace(steptest.ReadFile(t, out)); got != tt.out {
				t.Errorf("got %s, want %s", got, tt.out)
			}
		})
	}
	for with, want := range map[string]string{
		`{"inputs":["/a"],"format":"csv","jq":".","output":"/o","delimiter":";;"}`: `delimiter: ";;": want one character`,
		`{"inputs":["/a"],"format":"csv","jq":".","output":"/o","delimiter":"\""}`: "want one character",
		`{"inputs":["/a"],"format":"csv","jq":".","output":"/o","delimiter":"\n"}`: "want one character",
		`{"inputs":["/a"],"format":"text","jq":".","output":"/o","delimiter":";"}`: "delimiter: only csv has one, and format is text",
	} {
		steptest.WantError(t, data.Kind{}.Check([]byte(with)), want)
	}
}

func pack(t *testing.T, content []byte) string {
	t.Helper()
	var b bytes.Buffer
	w := gzip.NewWriter(&b)
	if _, err := w.Write(content); err != nil {
		t.Fatal(err)
	}
	if err := w.Close(); err != nil {
		t.Fatal(err)
	}
	return b.String()
}

// Rotated logs lie there packed.
func TestPackedInputsAreRead(t *testing.T) {
	whole := pack(t, []byte("1\n18446744073709551615\n"))
	for _, tt := range []struct{ name, format, content, out, err string }{
		{"jsonl", "jsonl", whole, "1\n18446744073709551615\n", ""},
		{"text", "text", whole, "\"1\"\n\"18446744073709551615\"\n", ""},
		{"csv", "csv", pack(t, []byte("a;b\n1;2\n")), `{"a":"1","b":"2"}` + "\n", ""},
		{"two, one behind the other", "jsonl", whole + pack(t, []byte("3\n")), "1\n18446744073709551615\n3\n", ""},
		{"empty", "text", pack(t, nil), "", ""},
		{"cut", "jsonl", whole[:len(whole)-9], "", "the packed file (gzip) ends too early"},
		{"damaged", "jsonl", whole[:len(whole)-8] + "xxxx" + whole[len(whole)-4:], "", "the packed file (gzip) is damaged"},
		{"only its first bytes", "text", "\x1f\x8b", "", "the packed file (gzip) ends too early"},
		{"a line without an end", "text", pack(t, make([]byte, 4<<20)), "", "in, line 1: longer than 1024 KiB"},
	} {
		t.Run(tt.name, func(t *testing.T) {
			a, _, out := dataStep(t, tt.format, "inputs", tt.content)
			err := a.Run(t.Context(), steptest.Data(t))
			if tt.err != "" {
				steptest.WantError(t, err, tt.err)
				return
			}
			if err != nil {
				t.Fatal(err)
			}
			if got := steptest.ReadFile(t, out); got != tt.out {
				t.Errorf("got %q, want %q", got, tt.out)
			}
		})
	}
}

// Of a table only the columns that are read become values; all of it is checked.
func TestATableGivesTheSameWhateverIsLeftOut(t *testing.T) {
	const table = "a,b,c\n1,x,2.5\n2,y,\n"
	for _, tt := range []struct{ jq, content, out, err string }{
		{`inputs | .c`, table, "\"2.5\"\n\"\"\n", ""},
		{`inputs | [.a, .none]`, table, "[\"1\",null]\n[\"2\",null]\n", ""},
		{`reduce inputs as $r (0; . + ($r.a | tonumber))`, table, "3\n", ""},
		{`inputs | select(.a == "2") | keys`, table, "[\"a\",\"b\",\"c\"]\n", ""},
		{`input | .[]`, table, "\"1\"\n\"x\"\n\"2.5\"\n", ""},
		{`[inputs] | length`, table, "2\n", ""},
		{`inputs | .a`, "a,b\n1,\xff\n", "", "in, line 2: not valid UTF-8"},
		{`inputs | .a`, "a,b\n1,2\n3\n", "", "in, line 3: not as many fields"},
		{`inputs | .a`, "a,b,b\n", "", `two columns have the name "b"`},
	} {
		a, _, out := dataStep(t, "csv", tt.jq, tt.content)
		err := a.Run(t.Context(), steptest.Data(t))
		if tt.err != "" {
			steptest.WantError(t, err, tt.err)
		} else if got := steptest.ReadFile(t, out); err != nil || got != tt.out {
			t.Errorf("%s: got %s, %v, want %s", tt.jq, got, err, tt.out)
		}
	}
}
