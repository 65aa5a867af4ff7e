package link

import (
	"bytes"
	"fmt"
	"io"
	"runtime"
	"testing"
	"time"

	mqtt "github.com/eclipse/paho.mqtt.golang/packets"

	"github.com/ratchetd/ratchet/agent/link/packet/packettest"
)

func TestZZMeasure(t *testing.T) {
	n := 0
	m := mqtt.NewControlPacket(mqtt.Publish).(*mqtt.PublishPacket)
	m.TopicName, m.Payload = "ratchet/v1/device/gw-1/state", []byte(`{"online":false}`)
	b := packettest.Broker{Answer: func(p mqtt.ControlPacket) ([]byte, bool) {
		if _, ok := p.(*mqtt.PublishPacket); !ok {
			return nil, false
		}
		n++
		if n == 1 { return nil, false }
		if n == 2 {
			return append(packettest.Answer(p), bytes.Repeat(packettest.Raw(m), 60000)...), true
		}
		return nil, true
	}}
	l := linkTo(t, "tcp://"+b.Serve(t), &fragile{settled: make(chan struct{}, 99)}, io.Discard)
	run(t, l)
	var most uint64
	for began := time.Now(); time.Since(began) < 15*time.Second; time.Sleep(200*time.Millisecond) {
		var s runtime.MemStats
		runtime.GC()
		runtime.ReadMemStats(&s)
		most = max(most, s.HeapAlloc)
	}
	fmt.Println("published", n, "heap KiB", most>>10)
}
