package agent

import (
	"testing"
)

func TestWhatCannotBeSweptEndsNothing(t *testing.T) {
	d := newDevice(t, &broker{t: t, addr: "127.0.0.1:1"}, "")
	d.write("state/tasks", "") // where undo data has its folder
	a, err := New(d.configured(), discard())
	if err != nil {
		t.Fatal(err)
	}
	if err := a.open(); err != nil {
		t.Error("the agent does not start:", err)
	}
	a.db.Close()
}
