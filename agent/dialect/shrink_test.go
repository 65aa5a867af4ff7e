package dialect

import (
	"encoding/json"
	"fmt"
	"math/rand/v2"
	"slices"
	"strings"
	"testing"
	"unicode/utf8"

	"github.com/ratchetd/ratchet/executor"
)

// pieces are what outputs are made of: what JSON escapes, what it doubles, and
// what may not be cut in the middle.
var pieces = []string{"a", "line\n", "\"", "\\", "<&>", "\x00", "\x1b[31m", "\b", "\f", "\x7f", "ä", "世界", "🔧", "\u2028", "\xff", "\xe4\xb8", "\ufffd"}

func randomText(rnd *rand.Rand, most int) string {
	var b strings.Builder
	for size := rnd.IntN(most + 1); ; {
		piece := pieces[rnd.IntN(len(pieces))]
		if b.Len()+len(piece) > size {
			return b.String()
		}
		b.WriteString(piece)
	}
}

// randomReport is of a job with up to 64 steps, each with up to 4 KiB of output
// and of result, long names, long reasons.
func randomReport(rnd *rand.Rand) Report {
	states := []executor.State{"", executor.Running, executor.Succeeded, executor.Failed, executor.Skipped, executor.Undone, executor.Stopped}
	rec := executor.Record{ID: "wifi", State: executor.Running, Rev: rnd.Uint64(), Digest: executor.Digest(nil), Reason: randomText(rnd, 8000)}
	most := []int{0, 100, 4096}[rnd.IntN(3)]
	for i := range 1 + rnd.IntN(executor.MaxSteps) {
		name := strings.ReplaceAll(strings.ToValidUTF8(randomText(rnd, 64), "?"), "\x00", "?")
		rec.Job.Steps = append(rec.Job.Steps, executor.Step{Name: name, Kind: "command"})
		result, _ := json.Marshal(strings.ToValidUTF8(randomText(rnd, most/6), "?"))
		rec.Steps = append(rec.Steps, executor.StepRecord{State: states[rnd.IntN(len(states))], Attempts: 1 + i, Interrupted: 3,
			Millis: rnd.Int64N(1e10), Reason: randomText(rnd, most), Resumed: executor.Rerun, Output: randomText(rnd, most), Result: result})
		rec.Warnings = append(rec.Warnings, randomText(rnd, 1000))
	}
	if n := len(rec.Job.Steps); n > 1 {
		cut := rnd.IntN(n)
		rec.Job.Steps, rec.Job.OnFailure = rec.Job.Steps[:cut], rec.Job.Steps[cut:]
	}
	rec.At.Step = rnd.IntN(len(rec.Steps))
	return Report{Record: rec, Progress: rnd.Float64()}
}

// endOf reports whether got is an end of full, but for what JSON makes of bytes
// that are not UTF-8.
func endOf(got, full string) bool {
	valid := func(s string) string { return strings.ToValidUTF8(strings.ReplaceAll(s, "\ufffd", ""), "") }
	return strings.HasSuffix(valid(full), valid(got))
}

func TestStatusNeverExceedsItsBoundAndStaysReadable(t *testing.T) {
	for seed := range uint64(150) {
		rnd := rand.New(rand.NewPCG(seed, 1))
		r := randomReport(rnd)
		before := fmt.Sprint(r)
		payload := NewStatus("gw-1", r).Encode()
		if len(payload) > MaxStatus {
			t.Fatalf("seed %d: got %d bytes, want at most %d", seed, len(payload), MaxStatus)
		}
		s, err := ParseStatus(payload)
		if err != nil || !utf8.Valid(payload) {
			t.Fatalf("seed %d: got no valid JSON: %v", seed, err)
		}
		if got, want := len(s.Steps), r.Record.Job.Total(); got != want {
			t.Fatalf("seed %d: got %d steps, want all %d", seed, got, want)
		}
		for i, step := range s.Steps {
			if !endOf(step.Output, r.Record.Steps[i].Output) {
				t.Fatalf("seed %d: got output %q, want an end of %q", seed, step.Output, r.Record.Steps[i].Output)
			}
		}
		if fmt.Sprint(r) != before {
			t.Fatalf("seed %d: telling changed the report", seed)
		}
	}
}

func TestStatusThatFitsIsNotCut(t *testing.T) {
	s := JobStatus{Steps: []StepStatus{{Name: "a", Output: strings.Repeat("x", 4096), Reason: "r", Result: json.RawMessage(`{"a":1}`)}}}
	got, err := ParseStatus(s.Encode())
	if err != nil || got.Steps[0].Output != s.Steps[0].Output || string(got.Steps[0].Result) != `{"a":1}` {
		t.Errorf("got %+v (%v), want %+v", got, err, s)
	}
}

func TestEncodingLeavesTheStatusAsItIs(t *testing.T) {
	s := JobStatus{Steps: []StepStatus{{Name: "a", Output: strings.Repeat("x", 2*MaxStatus)}}}
	s.Encode()
	if got, want := len(s.Steps[0].Output), 2*MaxStatus; got != want {
		t.Errorf("got %d bytes of output left, want %d", got, want)
	}
}

// TestTheLongestNamesAndReasonsFit takes names that JSON doubles, so that even
// without outputs and reasons the bare list of steps is too long.
func TestTheLongestNamesAndReasonsFit(t *testing.T) {
	s := JobStatus{Job: strings.Repeat("\x01", MaxName), State: executor.Failed, Reason: strings.Repeat("r", 5000)}
	for i := range executor.MaxSteps {
		s.Warnings = append(s.Warnings, strings.Repeat("w", 1000))
		s.Steps = append(s.Steps, StepStatus{Name: strings.Repeat(`"`, 64), State: executor.Failed, Phase: executor.OnFailure,
			Attempts: 1000 + i, Interrupted: 100, Millis: 1e12, Resumed: executor.Verify, Reason: strings.Repeat("r", 500)})
	}
	payload := s.Encode()
	got, err := ParseStatus(payload)
	if err != nil || len(payload) > MaxStatus || len(got.Steps) != len(s.Steps) || !strings.HasPrefix(s.Reason, got.Reason) || got.Reason == "" {
		t.Errorf("got %d bytes (%v), %d steps, reason %q", len(payload), err, len(got.Steps), got.Reason)
	}
}

// TestOldestSucceededOutputGoesFirstAndFailedLast names, per step, how it
// ended; want is how much of its 4 KiB of output is still told.
func TestOldestSucceededOutputGoesFirstAndFailedLast(t *testing.T) {
	const whole, some, none = "whole", "some", "none"
	ok, bad := executor.Succeeded, executor.Failed
	for _, c := range []struct {
		steps []executor.State
		want  []string
	}{
		{[]executor.State{ok, ok, ok}, []string{whole, whole, whole}},
		{[]executor.State{ok, ok, ok, ok}, []string{some, whole, whole, whole}},
		{[]executor.State{ok, ok, ok, ok, ok}, []string{none, some, whole, whole, whole}},
		{[]executor.State{bad, ok, ok, ok, ok}, []string{whole, none, some, whole, whole}},
		{[]executor.State{bad, ok, ok, ok, bad}, []string{whole, none, some, whole, whole}},
		{[]executor.State{bad, bad, ok, bad, bad, bad}, []string{none, some, none, whole, whole, whole}},
	} {
		var s JobStatus
		for _, state := range c.steps {
			s.Steps = append(s.Steps, StepStatus{Name: "step", State: state, Output: strings.Repeat("x", 4096)})
		}
		payload := s.Encode()
		told, err := ParseStatus(payload)
		if err != nil {
			t.Fatal(err)
		}
		var got []string
		for _, step := range told.Steps {
			got = append(got, map[bool]string{true: whole, false: some}[len(step.Output) == 4096])
			if step.Output == "" {
				got[len(got)-1] = none
			}
		}
		if !slices.Equal(got, c.want) {
			t.Errorf("%v: got %v, want %v", c.steps, got, c.want)
		}
		if len(c.steps) > 3 && len(payload) < MaxStatus-16 {
			t.Errorf("%v: got %d bytes, want the room used up", c.steps, len(payload))
		}
	}
}

func TestResultThatIsNoJSONDoesNotCostTheStatus(t *testing.T) {
	for _, result := range []string{"{", "\"\xff\"", strings.Repeat("[", 20000) + strings.Repeat("]", 20000)} {
		rec := executor.Record{ID: "a", Job: executor.Job{Steps: []executor.Step{{Name: "s"}}}, Steps: []executor.StepRecord{{Result: json.RawMessage(result)}}}
		got, err := ParseStatus(NewStatus("gw-1", Report{Record: rec}).Encode())
		if err != nil || len(got.Steps) != 1 || got.Steps[0].Result != nil {
			t.Errorf("got %+v (%v), want one step without a result", got, err)
		}
	}
}

func TestEncodedLengthIsWhatJSONTakes(t *testing.T) {
	for _, piece := range pieces {
		if got, want := encodedLen(piece), len(Marshal(piece))-2; got != want {
			t.Errorf("%q: got %d, want %d", piece, got, want)
		}
	}
}

func BenchmarkEncodeWorstStatus(b *testing.B) {
	rec := executor.Record{ID: "wifi", State: executor.Running}
	for range executor.MaxSteps {
		rec.Job.Steps = append(rec.Job.Steps, executor.Step{Name: "step"})
		rec.Steps = append(rec.Steps, executor.StepRecord{State: executor.Succeeded, Output: strings.Repeat("x\n", 2048), Result: Marshal(strings.Repeat("y", 4000))})
	}
	for b.Loop() {
		NewStatus("gw-1", Report{Record: rec}).Encode()
	}
}
