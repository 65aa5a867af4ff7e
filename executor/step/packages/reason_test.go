package packages

import (
	"io"
	"testing"
)

func TestTwoOutputsDoNotBreakEachOthersLines(t *testing.T) {
	said := newWords()
	out, errs := said.stdout(io.Discard), said.stderr(io.Discard)
	for _, piece := range []struct {
		to   io.Writer
		text string
	}{{out, "Reading package lists... "}, {errs, "E: Version '3' for "}, {out, "Done\nis only available from "}, {errs, "'tool' was not found\n"}, {out, "another source\n"}} {
		if _, err := io.WriteString(piece.to, piece.text); err != nil {
			t.Fatal(err)
		}
	}
	if got, want := reason(said), "E: Version '3' for 'tool' was not found"; got != want {
		t.Errorf("got %q, want %q", got, want)
	}
}
