package executor

import (
	"strings"
	"testing"

	"github.com/ratchetd/ratchet/executor/redact"
)

// Hidden secrets make a text shorter, so that its cut beginning is told.
func TestACutSecretIsNotReported(t *testing.T) {
	const secret = "hunter2hunter2hunter2hunter2"
	hide := func(s string) string { return redact.New([]string{secret}).Hide(s) }
	for name, said := range map[string]string{
		"one a line":     strings.Repeat(secret+"\n", 1000),
		"without an end": strings.Repeat(secret, 1000) + " " + secret,
	} {
		out := &tail{}
		for part := said; part != ""; { // in pieces of a prime size
			n := min(len(part), 997)
			out.Write([]byte(part[:n]))
			part = part[n:]
		}
		text := out.text(hide)
		if rest := strings.ReplaceAll(text, redact.Mask, ""); strings.TrimSpace(rest) != "" || !strings.HasSuffix(strings.TrimSpace(text), redact.Mask) {
			t.Errorf("%s: of a secret is told %q", name, rest)
		}
	}
}

// Live output comes in pieces, and a secret in two of them.
func TestLiveOutputIsHidden(t *testing.T) {
	const filled, own = "hunter2hunter2hunter2", "correct-horse-battery"
	var told strings.Builder
	s := &stream{
		hide: func(text string) string { return redact.New([]string{filled, own}).Hide(text) },
		emit: func(text string) { told.WriteString(text) },
	}
	said := "begins\n" + filled + "\n" + own + "\r" + strings.Repeat("x", 3*MaxOutput) + own + strings.Repeat("y", 3*MaxOutput) + filled + "\nends"
	for i := range len(said) {
		s.Write([]byte(said[i : i+1]))
		if strings.Contains(told.String(), "hunter") || strings.Contains(told.String(), "horse") || len(s.held) > 2*MaxOutput {
			t.Fatalf("after %d bytes %d are held, and the end of what is told is %q", i+1, len(s.held), told.String()[max(0, told.Len()-100):])
		}
	}
	s.flush()
	want := strings.NewReplacer(filled, redact.Mask, own, redact.Mask).Replace(said)
	if told.String() != want {
		t.Errorf("told %d bytes, want %d", told.Len(), len(want))
	}
}
