package packettest

import (
	"strings"

	"github.com/eclipse/paho.mqtt.golang/packets"
)

// An Attack is what a broker answers to the first packet of a type, and may
// not. It is to end the connection, and nothing else.
type Attack struct {
	Name string
	To   byte                             // the type of the packet
	Send func(id byte, topics int) []byte // a connection has few ids
	Want string                           // in the error
}

// Answer is for a Broker.
func (a Attack) Answer(p packets.ControlPacket) ([]byte, bool) {
	switch p := p.(type) {
	case *packets.ConnectPacket:
		return a.answer(packets.Connect, 0, 0)
	case *packets.SubscribePacket:
		return a.answer(packets.Subscribe, p.MessageID, len(p.Topics))
	case *packets.PublishPacket:
		return a.answer(packets.Publish, p.MessageID, 0)
	}
	return nil, false
}

func (a Attack) answer(kind byte, id uint16, topics int) ([]byte, bool) {
	if kind != a.To {
		return nil, false
	}
	return a.Send(byte(id), topics), true
}

// raw sends the same to everybody.
func raw(b ...byte) func(byte, int) []byte { return func(byte, int) []byte { return b } }

// suback sends a SUBACK with the right id and so many codes more than it should have.
func suback(more int) func(byte, int) []byte {
	return func(id byte, topics int) []byte { return Suback(uint16(id), make([]byte, topics+more)...) }
}

// text sends a message with QoS 0 and this topic.
func text(topic string) func(byte, int) []byte {
	return raw(append([]byte{0x30, byte(2 + len(topic)), 0, byte(len(topic))}, topic...)...)
}

const noBroker = "no MQTT broker"

// Attacks are all the ways that are known to send what MQTT does not allow.
var Attacks = []Attack{
	{"HTTP", packets.Connect, raw([]byte("HTTP/1.1 400 Bad Request\r\n\r\n")...), noBroker},
	{"a TLS alert", packets.Connect, raw(0x15, 3, 1, 0, 2, 2, 80), noBroker},
	{"SUBACK before CONNACK", packets.Connect, raw(0x90, 3, 0, 1, 0), noBroker},
	{"CONNACK of one byte", packets.Connect, raw(0x20, 1, 0), "CONNACK of 1 bytes"},
	{"CONNACK of three bytes", packets.Connect, raw(0x20, 3, 0, 0, 0), "CONNACK of 3 bytes"},
	{"CONNACK with a length of five bytes", packets.Connect, raw(0x20, 0x82, 0x80, 0x80, 0x80, 0, 0, 0), "more than four bytes"},
	{"CONNACK with flags in its header", packets.Connect, raw(0x21, 2, 0, 0), "CONNACK with flags 0x1"},
	{"CONNACK with unknown flags", packets.Connect, raw(0x20, 2, 2, 0), "CONNACK with flags 0x2"},
	{"CONNACK with an unknown code", packets.Connect, raw(0x20, 2, 0, 135), "code 135"},
	{"CONNACK that refuses and has a session", packets.Connect, raw(0x20, 2, 1, 5), "flags 0x1 and code 5"},
	{"two CONNACKs", packets.Connect, raw(0x20, 2, 0, 0, 0x20, 2, 0, 0), "CONNACK again"},

	{"SUBACK with a surplus code", packets.Subscribe, suback(1), "codes (topics asked for: "},
	{"SUBACK with 200,000 surplus codes", packets.Subscribe, suback(200_000), "codes (topics asked for: "},
	{"SUBACK with a code too few", packets.Subscribe, suback(-1), "SUBACK"},
	{"SUBACK without a code", packets.Subscribe, func(id byte, _ int) []byte { return []byte{0x90, 2, 0, id} }, "SUBACK of 2 bytes"},
	{"SUBACK of one byte", packets.Subscribe, raw(0x90, 1, 0), "SUBACK of 1 bytes"},
	{"SUBACK with an unknown code", packets.Subscribe, func(id byte, topics int) []byte {
		codes := make([]byte, topics)
		codes[topics-1] = 3
		return Suback(uint16(id), codes...)
	}, "SUBACK with code 0x3"},
	{"SUBACK with another id", packets.Subscribe, func(id byte, topics int) []byte { return Suback(uint16(id)+7, make([]byte, topics)...) }, "waits"},
	{"SUBACK with id 0", packets.Subscribe, func(_ byte, topics int) []byte { return Suback(0, make([]byte, topics)...) }, "waits"},
	{"two SUBACKs", packets.Subscribe, func(id byte, topics int) []byte {
		ack := suback(0)(id, topics)
		return append(ack, ack...)
	}, "SUBACK with id"},
	{"SUBACK with flags", packets.Subscribe, raw(0x92, 3, 0, 1, 0), "SUBACK with flags 0x2"},
	{"UNSUBACK for a subscription", packets.Subscribe, func(id byte, _ int) []byte { return []byte{0xb0, 2, 0, id} }, "UNSUBACK with id"},

	{"PUBLISH with QoS 2", packets.Subscribe, raw(0x34, 6, 0, 1, 't', 0, 1, 'x'), "QoS 2"},
	{"PUBLISH with QoS 3", packets.Subscribe, raw(0x36, 6, 0, 1, 't', 0, 1, 'x'), "QoS 3"},
	{"PUBLISH of nothing", packets.Subscribe, raw(0x30, 0), "a message of 0 bytes"},
	{"PUBLISH of one byte", packets.Subscribe, raw(0x30, 1, 0), "a message of 1 bytes"},
	{"PUBLISH without a topic", packets.Subscribe, raw(0x30, 3, 0, 0, 'x'), "a topic of 0"},
	{"PUBLISH with a topic longer than itself", packets.Subscribe, raw(0x30, 4, 0xff, 0xff, 't', 't'), "a topic of 65535"},
	{"PUBLISH without room for its id", packets.Subscribe, raw(0x32, 4, 0, 1, 't', 0), "a message of 4 bytes"},
	{"PUBLISH with id 0", packets.Subscribe, raw(0x32, 5, 0, 1, 't', 0, 0), "no id"},
	{"PUBLISH with a wildcard", packets.Subscribe, text("a/#"), `topic "a/#" that has a wildcard`},
	{"PUBLISH with a wildcard of one level", packets.Subscribe, text("a/+/b"), "a wildcard"},
	{"PUBLISH with a NUL", packets.Subscribe, text("a\x00b"), "is no text"},
	{"PUBLISH with a topic that is no UTF-8", packets.Subscribe, text("a\xff\xfeb"), "is no text"},
	{"PUBLISH with half a surrogate", packets.Subscribe, text("a\xed\xa0\x80"), "is no text"},
	{"PUBLISH of 256 MB", packets.Subscribe, raw(0x30, 0xff, 0xff, 0xff, 0x7f, 0, 1, 't'), "too long"},
	{"PUBLISH with a length of five bytes", packets.Subscribe, raw(0x30, 0x83, 0x80, 0x80, 0x80, 0, 0, 1, 't'), "more than four bytes"},

	{"type 0", packets.Subscribe, raw(0, 0), "type 0"},
	{"CONNECT", packets.Subscribe, raw(0x10, 2, 0, 0), "type 1"},
	{"SUBSCRIBE", packets.Subscribe, raw(0x82, 6, 0, 1, 0, 1, 't', 0), "type 8"},
	{"UNSUBSCRIBE", packets.Subscribe, raw(0xa2, 5, 0, 1, 0, 1, 't'), "type 10"},
	{"PINGREQ", packets.Subscribe, raw(0xc0, 0), "type 12"},
	{"DISCONNECT", packets.Subscribe, raw(0xe0, 0), "type 14"},
	{"AUTH of MQTT 5", packets.Subscribe, raw(0xf0, 0), "type 15"},
	{"PUBREC", packets.Subscribe, raw(0x50, 2, 0, 1), "PUBREC"},
	{"PUBREL", packets.Subscribe, raw(0x62, 2, 0, 1), "PUBREL"},
	{"PUBCOMP", packets.Subscribe, raw(0x70, 2, 0, 1), "PUBCOMP"},
	{"PINGRESP with a body", packets.Subscribe, raw(0xd0, 1, 0), "PINGRESP of 1 bytes"},
	{"PUBACK of one byte", packets.Subscribe, raw(0x40, 1, 0), "PUBACK of 1 bytes"},
	{"PUBACK with the reason of MQTT 5", packets.Subscribe, raw(0x40, 3, 0, 1, 0), "PUBACK of 3 bytes"},
	{"UNSUBACK for nothing", packets.Subscribe, raw(0xb0, 2, 0x77, 0x77), "UNSUBACK with id 30583"},

	{"PUBACK with QoS in its flags", packets.Publish, func(id byte, _ int) []byte { return []byte{0x42, 2, 0, id} }, "PUBACK with flags 0x2"},
	{"SUBACK for a message", packets.Publish, func(id byte, _ int) []byte { return Suback(uint16(id), 0) }, "SUBACK with id"},
	{"a topic of 60,000 slashes, then garbage", packets.Subscribe, raw(append([]byte{0x30, 0xe2, 0xd4, 3, 0xea, 0x60}, strings.Repeat("/", 60_000)+"\x07"...)...), "type 0"},
}
