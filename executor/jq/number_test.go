package jq

import (
	"fmt"
	"strings"
	"testing"
)

// An integer comes out as it came in, however large, and is computed with as such.
func TestIntegersStayExact(t *testing.T) {
	const most = "9223372036854775807"
	for _, n := range []string{"0", "-1", "9007199254740993", most, "9223372036854775808", "-9223372036854775809", "18446744073709551615",
		strings.Repeat("123456789", 11)} {
		input, err := ParseValue(fmt.Sprintf(`{"n":%s,"list":[%s]}`, n, n))
		if err != nil {
			t.Fatal(err)
		}
		for _, src := range []string{".n", ".list[0]", ".n + 0", "0 + .n", ".n - 0", ".n * 1", ".n + 1 - 1", "[.n] | max", n} {
			checkNumber(t, src, input, n)
		}
		for _, f := range []string{"floor", "ceil", "round"} {
			checkNumber(t, ".n | "+f, input, n)
		}
		got, err := runProgram("input | .n, (.n + 1 - 1), (.list | add), (.n | floor, ceil, round, trunc, rint, nearbyint)", fromLines(`{"n":`+n+`,"list":[`+n+`]}`))
		if want := strings.TrimSpace(strings.Repeat(n+" ", 9)); got != want || err != nil {
			t.Errorf("data: got %s, %v, want %s", got, err, want)
		}
	}
	for src, want := range map[string]string{
		most + " + 1":                                 "9223372036854775808",
		"18446744073709551615 % 1000":                 "615",
		"9007199254740993 * 3":                        "27021597764222979",
		"18446744073709551616 - 18446744073709551615": "1",
		`"18446744073709551615" | tonumber`:           "18446744073709551615",
		"-18446744073709551615 + 1":                   "-18446744073709551614",
	} {
		checkNumber(t, src, nil, want)
	}
}

// A program may have functions of its own by these names, and errors are the engine's.
func TestRoundingIsAsItWas(t *testing.T) {
	for src, want := range map[string]string{
		"-1.5 | floor, ceil, round, trunc, rint, nearbyint": "-2 -1 -2 -1 -2 -2",
		"def floor: 7; def f: 1.5 | floor; f, (1.5 | ceil)": "7 2",
		`try ("a" | floor) catch .`:                         `"floor cannot be applied to: string (\"a\")"`,
	} {
		if got, err := runProgram(src, nil); got != want || err != nil {
			t.Errorf("%s: got %s, %v, want %s", src, got, err, want)
		}
	}
}

func checkNumber(t *testing.T, src string, input any, want string) {
	t.Helper()
	got, err := evaluate(src, input)
	if fmt.Sprint(got) != want || err != nil {
		t.Errorf("%s: got %v, %v, want %s", src, got, err, want)
	}
}

func TestANumberThatIsTooLongIsRefused(t *testing.T) {
	long := strings.Repeat("9", maxDigits+1)
	if _, err := ParseValue(`[{"n":` + long + `}]`); err == nil || !strings.Contains(err.Error(), "a number of 1001 digits") {
		t.Errorf("got %v, want that it is too long", err)
	}
}
