package data

import (
	"io"
	"strings"
	"testing"
)

// zeros never ends.
type zeros struct{}

func (zeros) Read(p []byte) (int, error) { clear(p); return len(p), nil }

func TestAPackedFileIsNotReadForEver(t *testing.T) {
	u := &unpacking{r: zeros{}, left: 1 << 20}
	n, err := io.Copy(io.Discard, u)
	if err == nil || !strings.Contains(err.Error(), "more than 1024 MiB") || n > 1<<20 {
		t.Errorf("got %d bytes, %v, want an end at the bound", n, err)
	}
}
