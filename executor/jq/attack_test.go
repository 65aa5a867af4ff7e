package jq

import (
	"fmt"
	"runtime"
	"runtime/debug"
	"strings"
	"testing"
	"time"
)

// What no expression may exceed. The race detector and a busy machine are slow,
// and one function of the engine may run on past the deadline.
const (
	mostTime = 20 * time.Second
	mostHeap = 32 << 20
)

// chain repeats a filter until the source is full.
func chain(first, filter string) string { return chained(MaxExpr, first, filter) }

func chained(size int, first, filter string) string {
	return first + strings.Repeat("|"+filter, (size-len(first))/(len(filter)+1))
}

// nest puts a filter into itself until the source is full.
func nest(before, core, after string) string {
	n := (MaxExpr - len(core)) / (len(before) + len(after))
	return strings.Repeat(before, n) + core + strings.Repeat(after, n)
}

var attacks = map[string]string{
	"doubled text":               chain(`"xxxxxxxx"`, `.+.`),
	"doubled text in an array":   chain(`["xxxxxxxx"]`, `map(.+.)`),
	"doubled list":               chain(`[1]`, `.+.`),
	"doubled object keys":        chain(`{a:1}`, `to_entries|map({(.key+"b"):.value,(.key+"c"):.value})|add`),
	"interpolation":              chain(`"x"`, `"\(.)\(.)"`),
	"shared structure, returned": chain(`1`, `[.,.]`),
	"shared structure, printed":  chained(4000, `1`, `[.,.]`) + `|tostring`,
	"shared objects":             chain(`1`, `{a:.,b:.}`),
	"shared by select":           chain(`.many as $m|1`, `[select($m[])]`),
	"shared by if":               chain(`.many as $m|1`, `[if $m[] then . else . end]`),
	"caught and tried again":     chain(`"x"`, `(.+.)?//.`),
	"caught and collected":       `[.many[] as $x | .many[] as $y | (.long + "x")? // 1]`,
	"many long texts":            `[.many[] as $x | .many[] as $y | .long + "x"]`,
	"many objects":               `[.many[] as $x | .many[] as $y | {a:$x,b:$y}]`,
	"many numbers":               `[` + nest(`(`, `1`, `,2)`) + `]`,
	"outputs without end":        chain(`1`, `(.,.)`),
	"outputs that all must pass": `any(` + chained(4000, `false`, `(.,.)`) + `; .)`,
	"outputs that are collected": `[` + chained(4000, `1`, `(.,.)`) + `]`,
	"nested loops":               strings.Repeat(`.many[] as $x|`, 200) + `empty`,
	"loops that stay open":       `[.many[]|.] as $m|` + strings.Repeat(`select($m[]>=0)|`, 200) + `empty`,
	"cartesian interpolation":    `["\(.many[])\(.many[])\(.many[])"]`,
	"cartesian object":           `[{a:.many[],b:.many[],c:.many[]}]`,
	"cartesian sum":              `[.many[]+.many[]+.many[]]`,
	"growing numbers":            chain(`9`, `.*.`),
	"growing whole numbers":      chain(`9`, `.+.`),
	"a number of many digits":    strings.Repeat(`9`, 4000) + `|[.,.]|add`,
	"digits to number":           chained(60, `"9999999999"`, `.+.`) + `|tonumber`,
	"repeated text":              `"x" * 1000000000`,
	"join with a long separator": `.long as $l|.many|join($l)`,
	"split into bytes":           `.long|split("")`,
	"split by division":          `.long/""`,
	"split and split":            chain(`.long`, `split("")|join("xx")`),
	"contains, square":           `[.many[],.many[]] as $m|$m|contains($m)`,
	"contains, nested":           `[.many[]|[0,0,0,0,0]] as $m|[.many[]|[0,0,0,0,1]] as $n|$m|contains($n)`,
	"inside":                     `.many as $m|[$m,$m]|inside([$m,$m,$m])`,
	"list in list":               `.zeros[.zeros[1:]]`,
	"list less list":             `.many-.many`,
	"sort of shared":             `.many as $m|[$m[]|$m[:9]]|sort|unique|sort_by(.)|group_by(.)`,
	"sort of sorted":             chain(`.many`, `sort_by(-.)`),
	"equal and shared":           `.many as $m|[$m,$m,$m]|.==.`,
	"wide pattern":               `.long|test("` + strings.Repeat(`a{1000}`, 36) + `")`,
	"slow pattern":               `.long|test("(x+x+)+y(x+x+)+y")`,
	"many patterns":              `any(.many[];tostring|test("^[a-f]{30}$"))`,
	"computed pattern":           chained(24, `"(a)"`, `.+.`) + `|. as $p|"aaa"|test($p)`,
	"classes":                    `.long|test("(?i)` + strings.Repeat(`\\pL`, 80) + `")`,
	"brackets":                   nest(`[`, `1`, `]`),
	"parentheses":                nest(`(`, `1`, `)`),
	"minus signs":                strings.Repeat(`-`, 4000) + `1`,
	"map after map":              chain(`.many`, `map(.)`),
	"maps in maps":               nest(`map(`, `.`, `)`),
	"nested if":                  nest(`if . then `, `1`, ` else 2 end`),
	"nested any":                 `.many as $m|` + strings.Repeat(`any($m[];`, 300) + `false` + strings.Repeat(`)`, 300),
	"nested sums":                strings.Repeat(`.long+`, 600) + `"x"`,
	"nested variables":           strings.Repeat(`1 as $x|`, 500) + `$x`,
	"paths":                      `.` + strings.Repeat(`a.`, 2000) + `a`,
	"optional":                   `.` + `a` + strings.Repeat(`?`, 4000),
	"alternatives":               strings.Repeat(`null//`, 600) + `1`,
	"entries of entries":         chain(`.many`, `to_entries`),
	"keys":                       chain(`.many`, `keys`),
	"case":                       chain(`.long`, `ascii_downcase`),
	"long of long":               `.many as $m|[$m[]|$m|length]`,
	"error with a large value":   `.many as $m|[$m,$m,$m]|error`,
	"min_by":                     chain(`.many`, `[min_by(.,.,.)]+.`),
	"slices":                     chain(`.long`, `.[1:]+"x"`),
}

// hostile is an input like a device's own at its worst.
func hostile(t testing.TB) any {
	many := make([]int, 2000)
	for i := range many {
		many[i] = 1000 + i
	}
	in, err := Input(map[string]any{
		"many": many, "zeros": make([]int, 8000), "long": strings.Repeat("x", 60<<10),
	})
	if err != nil {
		t.Fatal(err)
	}
	return in
}

func TestNoExpressionTakesTheDeviceDown(t *testing.T) {
	in := hostile(t)
	for name, src := range attacks {
		t.Run(name, func(t *testing.T) { attack(t, src, in) })
	}
}

// attack compiles and evaluates src, and checks it against the limits.
func attack(t testing.TB, src string, in any) {
	t.Helper()
	begun := time.Now()
	var outcome any
	heap := peakHeap(func() {
		e, err := Compile(src)
		if err == nil {
			outcome, err = e.Eval(t.Context(), in)
		}
		if err != nil {
			outcome = err
		}
	})
	took := time.Since(begun)
	t.Logf("%.60s: %v, %d KiB: %.80s", src, took.Round(time.Millisecond), heap>>10, fmt.Sprint(outcome))
	if took > mostTime {
		t.Errorf("took %v, want at most %v: %.100s", took, mostTime, src)
	}
	if heap > mostHeap {
		t.Errorf("heap grew by %d KiB, want at most %d: %.100s", heap>>10, mostHeap>>10, src)
	}
}

// peakHeap is by how much the live heap grew while f ran, garbage that the
// collector had no time for included.
func peakHeap(f func()) uint64 {
	defer debug.SetGCPercent(debug.SetGCPercent(20))
	runtime.GC()
	before := heapAlloc()
	stop, peak := make(chan struct{}), make(chan uint64)
	go func() {
		var most uint64
		for {
			most = max(most, heapAlloc())
			select {
			case <-stop:
				peak <- most
				return
			case <-time.After(2 * time.Millisecond):
			}
		}
	}()
	f()
	close(stop)
	return max(<-peak, before) - before
}

func heapAlloc() uint64 {
	var m runtime.MemStats
	runtime.ReadMemStats(&m)
	return m.HeapAlloc
}

// pieces are what FuzzExpr puts together: bytes alone hardly ever parse.
var pieces = []string{
	`.`, `.many`, `.long`, `.zeros`, `[]`, `|`, `|`, `|`, `,`, `,`, `+`, `*`, `-`, `/`, `%`, `//`, `==`, `<`, ` and `, `[`, `]`, `(`, `)`,
	`[.,.]`, `{a:.,b:.}`, `.+.`, `.*.`, `"\(.)\(.)"`, `map(`, `select(`, `any(`, `sort_by(`, `group_by(`, `unique_by(`, `contains(`,
	`inside(`, `join(`, `split(`, `test(`, `to_entries`, `tostring`, `add`, `sort`, `unique`, `keys`, `length`, `reverse`, `.[1:]`,
	`.many[] as $x|`, `$x`, `1`, `9`, `"x"`, `"(x+x+)+y"`, `""`, `?`, `if `, ` then `, ` else `, ` end`, `;`, `first`, `last`, `min_by(`,
}

func FuzzExpr(f *testing.F) {
	for _, seed := range []string{"\x00", "\x01\x04\x05\x17\x05\x17\x05\x17", "\x02\x05\x18\x18\x18", "\x30\x18\x05\x19"} {
		f.Add([]byte(seed), 3)
	}
	in := hostile(f)
	f.Fuzz(func(t *testing.T, program []byte, repeat int) {
		var src strings.Builder
		for _, b := range program {
			src.WriteString(pieces[int(b)%len(pieces)])
		}
		text := src.String()
		if len(text) > 0 {
			text += strings.Repeat("|"+text, min(max(repeat, 0), 64))
		}
		if _, err := Compile(text); err == nil {
			attack(t, text, in)
		}
	})
}
