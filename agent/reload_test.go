package agent

import (
	"syscall"
	"testing"
	"time"
)

func TestANewAddressBringsANewConnectionAtOnce(t *testing.T) {
	b := newBroker(t)
	d := newDevice(t, b, "").start().online(b)
	was := d.link.Session()
	began := time.Now()
	d.signals <- syscall.SIGUSR1
	for now := was; now == was || now == nil; now = d.link.Session() {
		if time.Since(began) > 5*time.Second {
			t.Fatal("it went on with the old connection")
		}
		time.Sleep(5 * time.Millisecond)
	}
	b.offer("device/gw-1", doc("j", t.TempDir()+"/f", "s"))
	b.final("j")
}
