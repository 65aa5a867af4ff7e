package agent

import (
	"strings"

	"github.com/ratchetd/ratchet/agent/link/packet/packettest"
)

// What a broker does itself. TestNoPacketOfABrokerEndsTheAgent has the rest of
// the packets that none may send.
var attacksByBrokers = []attack{
	{"a SUBACK with a code too many", func(f *fort) string { return f.meets("SUBACK with a surplus code") }},
	{"a message with QoS 2, which nobody asked for", func(f *fort) string { return f.meets("PUBLISH with QoS 2") }},
	{"a message of 256 MB", func(f *fort) string { return f.meets("PUBLISH of 256 MB") }},
	{"a message on a topic with a wildcard", func(f *fort) string { return f.meets("PUBLISH with a wildcard") }},
	{"a server that speaks HTTP", func(f *fort) string { return f.meets("HTTP") }},
}

// meets has a device meet a broker that sends that, and returns what it says of
// it. It goes on trying.
func (f *fort) meets(name string) string {
	f.Helper()
	for _, a := range packettest.Attacks {
		if a.Name != name {
			continue
		}
		rogue := packettest.Broker{Answer: a.Answer}
		d := newDevice(f.T, &broker{t: f.T, addr: rogue.Serve(f.T)}, "").start()
		got := ""
		await(f.T, "the device to say what it met", func() bool {
			got = d.link.Status().Err
			return strings.Contains(got, a.Want)
		})
		for _, begins := range []string{"what answers ", "the broker "} {
			if i := strings.Index(got, begins); i >= 0 {
				return "the connection ends: " + got[i:]
			}
		}
	}
	f.Fatalf("no packet %q", name)
	return ""
}
