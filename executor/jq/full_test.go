package jq

import (
	"errors"
	"io"
	"strings"
	"testing"
)

// fromLines is a source of inputs.
func fromLines(lines ...string) func() (any, error) {
	return func() (any, error) {
		if len(lines) == 0 {
			return nil, io.EOF
		}
		line := lines[0]
		lines = lines[1:]
		return ParseValue(line)
	}
}

func runProgram(src string, next func() (any, error)) (string, error) {
	p, err := CompileProgram(src, next)
	if err != nil {
		return "", err
	}
	var out []string
	err = p.Run(func(value []byte) error {
		out = append(out, string(value))
		return nil
	})
	return strings.Join(out, " "), err
}

func TestAProgramIsTheWholeLanguage(t *testing.T) {
	for _, tt := range []struct{ src, want string }{
		{`[inputs]`, `[{"a":9007199254740993},2.5,null]`},
		{`def f: if . == null then "end" else . end; inputs | f`, `{"a":9007199254740993} 2.5 "end"`},
		{`reduce inputs as $x (0; . + 1)`, `3`},
		{`foreach inputs as $x (0; . + 1)`, `1 2 3`},
		{`label $out | inputs | if . == 2.5 then ., break $out else empty end`, `2.5`},
		{`[range(3)] | map(tojson) | join("-")`, `"0-1-2"`},
		{`input | tostring | @base64`, `"eyJhIjo5MDA3MTk5MjU0NzQwOTkzfQ=="`},
		{`1, halt, 2`, `1`},
	} {
		got, err := runProgram(tt.src, fromLines(`{"a":9007199254740993}`, `2.5`, `null`))
		if got != tt.want || err != nil {
			t.Errorf("%s: got %s, %v, want %s", tt.src, got, err, tt.want)
		}
	}
}

func TestAProgramReachesNothingOfTheDevice(t *testing.T) {
	t.Setenv("SECRET", "x")
	for src, want := range map[string]string{
		`env.SECRET`: "null", `$ENV.SECRET`: "null", `[env, $ENV]`: "[{},{}]",
	} {
		if got, err := runProgram(src, nil); got != want || err != nil {
			t.Errorf("%s: got %s, %v, want %s", src, got, err, want)
		}
	}
	for src, want := range map[string]string{
		`include "a"; .`: "cannot load module", `import "/etc/passwd" as $x; .`: "cannot load module",
		`input_filename`: "function not defined", `get_search_list`: "function not defined", `debug`: "function not defined",
	} {
		if got, err := runProgram(src, nil); err == nil || !strings.Contains(err.Error(), want) {
			t.Errorf("%s: got %s, %v, want an error with %q", src, got, err, want)
		}
	}
}

// TestWhatAProgramCannotReadEndsIt, whatever it makes of the error.
func TestWhatAProgramCannotReadEndsIt(t *testing.T) {
	broken := errors.New("broken")
	for _, src := range []string{`inputs`, `[inputs?]`, `try input catch 1`, `first(inputs, 2)`, `input // 3`} {
		_, err := runProgram(src, func() (any, error) { return nil, broken })
		if err != broken {
			t.Errorf("%s: got %v, want the error of the source", src, err)
		}
	}
}

func TestAProgramEndsWhenNobodyTakesItsValues(t *testing.T) {
	full := errors.New("full")
	p, err := CompileProgram(`repeat(1)`, nil)
	if err != nil {
		t.Fatal(err)
	}
	if err := p.Run(func([]byte) error { return full }); err != full {
		t.Errorf("got %v, want the error of who takes them", err)
	}
}

func TestAProgramSaysWhatIsWrong(t *testing.T) {
	for src, want := range map[string]string{
		`inputs |`:                "not jq at byte 8",
		`1 + nosuch(2)`:           "function not defined: nosuch/1",
		`input, input`:            "there is no more input",
		`"a" - 1`:                 "cannot subtract",
		`error("x" * 1000)`:       "...",
		`{} | halt_error`:         "halt error",
		strings.Repeat(" ", 5000): "the program has 5000 bytes: at most 4096 are taken",
	} {
		got, err := runProgram(src, fromLines("1"))
		if err == nil || !strings.Contains(err.Error(), want) || len(err.Error()) > 400 {
			t.Errorf("%.20s: got %s, %v, want a short error with %q", src, got, err, want)
		}
	}
}

func TestParseValueTakesOneValue(t *testing.T) {
	for text, want := range map[string]string{
		`1 2`: "more text after", `{"a":`: "ends too early", `x`: "not JSON at byte 1", ``: "ends too early",
	} {
		if v, err := ParseValue(text); err == nil || !strings.Contains(err.Error(), want) {
			t.Errorf("%q: got %v, %v, want an error with %q", text, v, err, want)
		}
	}
}
