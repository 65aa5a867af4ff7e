package dialect

import (
	"bytes"
	"encoding/json"
	"strings"
	"unicode/utf8"

	"github.com/ratchetd/ratchet/executor"
)

// Bounds of a status in encoded bytes. Reasons and warnings are error texts,
// which may be as long as a path or a URL makes them.
const (
	MaxStatus   = 16 << 10
	maxReason   = 1 << 10
	maxWarning  = 256
	lastReason  = 120
	maxWarnings = 8
	shortName   = 24
)

// Encode writes the status as JSON of at most MaxStatus bytes. What does not
// fit is cut where it is missed least: see cuts.
func (s JobStatus) Encode() []byte { return s.Within(0) }

// LastLine is the room of a status of which only the last line is wanted.
const LastLine = 1

// Within is Encode with that many bytes at most, as far as outputs, results and reasons
// can be cut; 0 is MaxStatus. The last line is the job, its state, its rev and a reason.
func (s JobStatus) Within(room int) []byte {
	switch {
	case room == LastLine:
		s.Steps, s.Warnings, s.Step = nil, nil, nil
		s.Reason = Head(s.Reason, lastReason)
		return Marshal(s)
	case room <= 0 || room > MaxStatus:
		room = MaxStatus
	}
	return s.cut(room)
}

// cut writes the status with as much cut as makes it that short, or all that may be.
func (s JobStatus) cut(room int) []byte {
	s.Reason = Head(s.Reason, maxReason)
	s.Warnings = headEach(s.Warnings)
	s.Steps = append([]StepStatus(nil), s.Steps...)
	size := len(Marshal(s))
	for _, cut := range cuts(s.Steps) {
		if size <= room {
			break
		}
		size -= cut(size - room)
	}
	return Marshal(s)
}

func headEach(warnings []string) []string {
	var list []string
	for _, w := range warnings[:min(len(warnings), maxWarnings)] {
		list = append(list, Head(w, maxWarning))
	}
	return list
}

// cuts lists what may go, in order: the outputs of the steps that did not
// fail, oldest first, and their results; then those of the failed ones, which
// the operator needs most. Reasons and the ends of long names go only when a
// job has very many steps. Each cut is told how much is too much, and tells how
// much it has freed.
func cuts(steps []StepStatus) []func(excess int) int {
	var list []func(int) int
	for _, failed := range []bool{false, true} {
		for _, cut := range []func(*StepStatus, int) int{cutOutput, cutResult} {
			for i := range steps {
				if (steps[i].State == executor.Failed) == failed {
					list = append(list, func(excess int) int { return cut(&steps[i], excess) })
				}
			}
		}
	}
	for _, cut := range []func(*StepStatus, int) int{cutReason, cutName} {
		for i := range steps {
			list = append(list, func(excess int) int { return cut(&steps[i], excess) })
		}
	}
	return list
}

func cutOutput(s *StepStatus, excess int) int {
	before := s.Output
	s.Output = tail(before, encodedLen(before)-excess)
	return freed("output", before, s.Output)
}

func cutResult(s *StepStatus, _ int) int {
	before := s.Result
	s.Result = nil
	if len(before) == 0 {
		return 0
	}
	return len(before) + len(`,"result":`)
}

func cutReason(s *StepStatus, excess int) int {
	before := s.Reason
	s.Reason = Head(before, encodedLen(before)-excess)
	return freed("reason", before, s.Reason)
}

func cutName(s *StepStatus, _ int) int {
	before := s.Name
	s.Name = Head(before, shortName)
	return freed("name", before, s.Name)
}

// freed counts the bytes between two values of a field that is left out when
// it is empty.
func freed(field, before, after string) int {
	n := encodedLen(before) - encodedLen(after)
	if before != "" && after == "" {
		n += len(field) + len(`,"":""`)
	}
	return n
}

// tail is the longest end of text that takes at most room bytes in JSON.
func tail(text string, room int) string {
	from := len(text)
	for from > 0 {
		r, n := utf8.DecodeLastRuneInString(text[:from])
		if room -= encodedRune(r, n); room < 0 {
			break
		}
		from -= n
	}
	return text[from:]
}

// Head is the longest beginning of text that takes at most room bytes in JSON.
func Head(text string, room int) string {
	to := 0
	for to < len(text) {
		r, n := utf8.DecodeRuneInString(text[to:])
		if room -= encodedRune(r, n); room < 0 {
			break
		}
		to += n
	}
	return text[:to]
}

func encodedLen(text string) int {
	total := 0
	for from := 0; from < len(text); {
		r, n := utf8.DecodeRuneInString(text[from:])
		total += encodedRune(r, n)
		from += n
	}
	return total
}

// encodedRune is how many bytes encoding/json takes for a rune of n bytes. An
// invalid byte becomes a six-byte escape.
func encodedRune(r rune, n int) int {
	switch {
	case strings.ContainsRune("\"\\\n\r\t\b\f", r):
		return 2
	case r < ' ' || r == '\u2028' || r == '\u2029' || r == utf8.RuneError && n == 1:
		return 6
	}
	return n
}

// compact takes the blanks out of a result. One that is not JSON is left out:
// it would cost the whole status.
func compact(result json.RawMessage) json.RawMessage {
	var b bytes.Buffer
	if len(result) == 0 || !utf8.Valid(result) || json.Compact(&b, result) != nil {
		return nil
	}
	return b.Bytes()
}
