package fence

import (
	"bytes"
	"errors"
	"io"
	"log/slog"
	"strings"
	"sync/atomic"
	"testing"
)

func TestAPanicBecomesAnError(t *testing.T) {
	var none map[string]int
	var empty []int
	for name, test := range map[string]struct {
		f    func() error
		want string
	}{
		"nothing":         {func() error { return nil }, ""},
		"an error":        {func() error { return io.EOF }, "EOF"},
		"an index":        {func() error { _ = empty[1]; return nil }, "panic: runtime error: index out of range [1] with length 0"},
		"a nil map":       {func() error { none["x"] = 1; return nil }, "panic: assignment to entry in nil map"},
		"a nil panic":     {func() error { panic(nil) }, "panic: panic called with nil argument"},
		"a panicked EOF":  {func() error { panic(io.EOF) }, "panic: EOF"},
		"a text, wrapped": {func() error { return errors.Join(Call(func() error { panic("deep") })) }, "panic: deep"},
	} {
		err := Call(test.f)
		if got := text(err); !strings.HasPrefix(got, test.want) || test.want == "" && got != "" {
			t.Errorf("%s: got %q, want %q", name, got, test.want)
		}
		var log bytes.Buffer
		panicked := strings.HasPrefix(test.want, "panic")
		if got := Log(slog.New(slog.NewTextHandler(&log, nil)), err, "a part panicked", "topic", "t"); got != panicked {
			t.Errorf("%s: Log returned %v", name, got)
		}
		if got := log.String(); panicked != (strings.Contains(got, "fence_test.go") && strings.Contains(got, "topic=t")) {
			t.Errorf("%s: logged %q", name, got)
		}
	}
}

func text(err error) string {
	if err == nil {
		return ""
	}
	return err.Error()
}

// One goroutine's panic is told, and the others go on.
func TestAPanicInAGroupEndsOneGoroutine(t *testing.T) {
	var told, done atomic.Int32
	g := Group{Fail: func(*Panic) { told.Add(1) }}
	for i := range 10 {
		g.Go(func() {
			if i%5 == 0 {
				panic(i)
			}
			done.Add(1)
		})
	}
	g.Wait()
	if told.Load() != 2 || done.Load() != 8 {
		t.Errorf("got %d panics and %d that went on, want 2 and 8", told.Load(), done.Load())
	}
}
