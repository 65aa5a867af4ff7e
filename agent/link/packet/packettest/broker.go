// Package packettest serves as a broker that answers as a test wants.
package packettest

import (
	"bytes"
	"io"
	"net"
	"strings"
	"testing"

	"github.com/eclipse/paho.mqtt.golang/packets"
)

// A Broker answers each packet as a broker does, unless Answer has another one.
type Broker struct {
	// Answer returns what is sent instead of the usual answer, and reports
	// whether it does so. It may be called by several goroutines at once.
	Answer func(packets.ControlPacket) ([]byte, bool)
	// Heard, if not nil, gets every packet that came, and nil when a
	// connection ended.
	Heard chan<- packets.ControlPacket
}

// Serve serves until the test ends, and returns the address.
func (b *Broker) Serve(t testing.TB) string {
	t.Helper()
	l, err := net.Listen("tcp", "127.0.0.1:0")
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { l.Close() })
	go func() {
		for {
			conn, err := l.Accept()
			if err != nil {
				return
			}
			go b.Talk(conn)
		}
	}()
	return l.Addr().String()
}

// Talk serves one connection until that ends.
func (b *Broker) Talk(conn io.ReadWriteCloser) {
	defer conn.Close()
	for {
		p, err := packets.ReadPacket(conn)
		if err != nil {
			p = nil
		}
		if b.Heard != nil {
			b.Heard <- p
		}
		if p == nil {
			return
		}
		answer, own := []byte(nil), false
		if b.Answer != nil {
			answer, own = b.Answer(p)
		}
		if !own {
			answer = Answer(p)
		}
		if _, err := conn.Write(answer); err != nil {
			return
		}
	}
}

// Answer returns what a broker answers to p. A device's own state comes back to
// it: one that does not hear itself would connect again.
func Answer(p packets.ControlPacket) []byte {
	switch p := p.(type) {
	case *packets.ConnectPacket:
		return Raw(packets.NewControlPacket(packets.Connack))
	case *packets.SubscribePacket:
		return Suback(p.MessageID, p.Qoss...)
	case *packets.UnsubscribePacket:
		ack := packets.NewControlPacket(packets.Unsuback).(*packets.UnsubackPacket)
		ack.MessageID = p.MessageID
		return Raw(ack)
	case *packets.PublishPacket:
		if p.Qos == 0 {
			return nil
		}
		ack := packets.NewControlPacket(packets.Puback).(*packets.PubackPacket)
		ack.MessageID = p.MessageID
		raw := Raw(ack)
		if strings.HasSuffix(p.TopicName, "/state") {
			raw = append(raw, Raw(p.Copy())...)
		}
		return raw
	case *packets.PingreqPacket:
		return Raw(packets.NewControlPacket(packets.Pingresp))
	}
	return nil
}

// Suback returns a SUBACK with these codes.
func Suback(id uint16, codes ...byte) []byte {
	ack := packets.NewControlPacket(packets.Suback).(*packets.SubackPacket)
	ack.MessageID, ack.ReturnCodes = id, codes
	return Raw(ack)
}

// Raw returns the bytes of a packet.
func Raw(p packets.ControlPacket) []byte {
	var b bytes.Buffer
	_ = p.Write(&b) // a buffer takes everything
	return b.Bytes()
}
