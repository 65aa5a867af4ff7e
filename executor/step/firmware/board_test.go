package firmware_test

import (
	"errors"
	"os"
	"path/filepath"
	"testing"

	"github.com/ratchetd/ratchet/executor/step/steptest"
)

// TestALineIsOfOneOutput: a backend says some to one output and some to the other, which
// two goroutines read. Neither ends a line of the other's.
func TestALineIsOfOneOutput(t *testing.T) {
	f := newFlight(t, "2.0", "")
	const says = `#!/bin/sh
[ $1 = install ] || exec "$0.real" "$@"
printf 'progress 0.'
for i in $(seq 50); do echo $i >&2; done
echo 25
exit 1
`
	script := filepath.Join(f.dir, "board")
	if err := errors.Join(os.Rename(script, script+".real"), os.WriteFile(script, []byte(says), 0o755)); err != nil {
		t.Fatal(err)
	}
	steptest.WantError(t, f.run(), "exit status 1: 50")
	if want := 0.5 + 0.25/2; f.Fraction != want { // the first half is the image
		t.Errorf("got progress %v, want %v", f.Fraction, want)
	}
}
