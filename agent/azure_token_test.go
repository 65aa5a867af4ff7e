package agent

import (
	"fmt"
	"path/filepath"
	"sync/atomic"
	"testing"
	"time"

	"github.com/ratchetd/ratchet/executor"
	"github.com/ratchetd/ratchet/scripts/fakehub/hub"
)

// A halted clock shows what it is set to, and counts who looks at it.
type halted struct {
	at    atomic.Int64
	looks atomic.Int64
}

// set has the clock show that from now on.
func (h *halted) set(at time.Time) { h.at.Store(at.UnixNano()) }

// now is for a hub.
func (h *halted) now() time.Time {
	h.looks.Add(1)
	return time.Unix(0, h.at.Load())
}

func TestATokenIsRenewedBeforeItExpires(t *testing.T) {
	var clock halted
	clock.set(time.Now())
	c := newCloud(t, &hub.Hub{Now: clock.now})
	const life = 20 * time.Second // it is renewed after 16 s
	d := c.device("", fmt.Sprintf("tokenLife = %q", life))
	file := filepath.Join(d.dir, "ran")
	c.desireDoc("long", script("long", "while ! test -e "+file+".go; do sleep 0.05; done; echo ran >>"+file))
	d.start()
	c.until("a connection", func() bool { return c.Connects("gw-1") >= 1 })
	first := time.Now().Add(life) // by then its token has expired, and that of the next one has not
	c.until("another connection", func() bool { return c.Connects("gw-1") >= 2 })
	clock.set(first)
	looked := clock.looks.Load()
	c.until("the hub to look at its clock", func() bool { return clock.looks.Load() > looked+5 })
	d.write("ran.go", "")
	c.await("long", executor.Succeeded)
	if drops := c.Drops(); len(drops) > 0 {
		t.Errorf("was dropped for %q, want never", drops)
	}
	if got := read(t, file); got != "ran" {
		t.Errorf("ran %q, want once", got)
	}
}
