package agent

import (
	"syscall"
	"testing"
)

func TestANewAddressBringsANewConnectionAtOnce(t *testing.T) {
	b := newBroker(t)
	d := newDevice(t, b, "").start().online(b)
	was := d.link.Session()
	d.signals <- syscall.SIGUSR1
	await(t, "another connection", func() bool {
		now := d.link.Session()
		return now != was && now != nil
	})
	b.offer("device/gw-1", doc("j", t.TempDir()+"/f", "s"))
	b.final("j")
}
