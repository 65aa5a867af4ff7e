package link

import (
	"io"
	"testing"

	"github.com/ratchetd/ratchet/agent/dialect"
)

// A cluster that has just lost a node answers nothing for some seconds, and then hangs
// up on what was not refused. Several messages of a topic that were on their way, and
// what was sent to the dead connection, are no second hang-up.
func TestOneHangUpCountsOnceForATopic(t *testing.T) {
	l := New()
	l.Raise = func(name, _, why string) { t.Errorf("raised %s: %s", name, why) }
	c := newConn()
	c.refused = &l.refusals
	for _, m := range []dialect.Message{{Topic: "health", Payload: []byte("a")}, {Topic: "health", Payload: []byte("bb")}} {
		c.fly(&m, true)
	}
	c.fail(io.EOF)
	c.fly(&dialect.Message{Topic: "jobs/j"}, true)
	if l.blame(c) {
		t.Error("a first hang-up is explained by what was on its way")
	}
	if l.Suspects("jobs/j") {
		t.Error("what was sent after the end is suspected")
	}
	if was := l.refusals.at("health"); was.hangs != suspectedOnce || was.size != 2 {
		t.Errorf("got %+v, want one hang-up on 2 bytes", was)
	}
}
