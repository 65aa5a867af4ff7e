package packet

import (
	"bytes"
	"encoding/binary"
	"fmt"
	"unicode/utf8"
)

// The types of packets, as they stand in the first byte.
const (
	connack     = 2
	publish     = 3
	puback      = 4
	pubrec      = 5
	pubrel      = 6
	pubcomp     = 7
	subscribe   = 8
	suback      = 9
	unsubscribe = 10
	unsuback    = 11
	pingresp    = 13
)

var names = [16]string{connack: "CONNACK", puback: "PUBACK", pubrec: "PUBREC", pubrel: "PUBREL", pubcomp: "PUBCOMP",
	suback: "SUBACK", unsuback: "UNSUBACK", pingresp: "PINGRESP"}

// header reads a fixed header: its own size, and that of what follows. A size
// above len(b) says that the header is not complete before so many bytes.
func header(b []byte) (size, rest int, err error) {
	for i := 1; i < len(b); i++ {
		if i > 4 {
			return 0, 0, wrong("a length of more than four bytes")
		}
		rest |= int(b[i]&0x7f) << (7 * (i - 1))
		if b[i] < 0x80 {
			return i + 1, rest, nil
		}
	}
	return max(2, len(b)+1), 0, nil
}

// A verdict is on the packet that some bytes begin with.
type verdict struct {
	size    int  // of what was checked; above the number of bytes: so many must be there first
	payload int  // bytes that follow and need no check
	idle    bool // nothing waits for it: it is left out
}

// judge checks the packet that b begins with.
func (c *Conn) judge(b []byte) (verdict, error) {
	if len(b) == 0 {
		return verdict{size: 2}, nil
	}
	if err := c.expected(b[0]); err != nil {
		return verdict{}, err
	}
	head, rest, err := header(b)
	if err != nil || head > len(b) {
		return verdict{size: head}, err
	}
	kind := b[0] >> 4
	if kind == publish {
		return c.message(b, head, rest)
	}
	if err := fits(kind, rest); err != nil {
		return verdict{}, err
	}
	if kind == suback { // its id says how long it may be
		if len(b) < head+2 {
			return verdict{size: head + 2}, nil
		}
		if err := c.asked.counted(number(b[head:]), rest-2); err != nil {
			return verdict{}, err
		}
	}
	if len(b) < head+rest {
		return verdict{size: head + rest}, nil
	}
	idle, err := c.answer(kind, b[head:head+rest])
	return verdict{size: head + rest, idle: idle}, err
}

// expected checks a packet's type and flags. That a message with QoS 0 comes
// once more (DUP) makes no sense, but does no harm.
func (c *Conn) expected(first byte) error {
	kind, flags := first>>4, first&0xf
	switch {
	case !c.greeted && kind != connack:
		return fmt.Errorf("what answers is no MQTT broker, or not in the way that was asked for (its first byte is %#02x): check scheme, host and port of the broker", first)
	case kind == publish:
		if qos := flags >> 1 & 3; qos > 1 {
			return wrong("a message with QoS %d, where at most 1 was asked for", qos)
		}
	case kind == connack && c.greeted:
		return wrong("CONNACK again")
	case kind == pubrec, kind == pubrel, kind == pubcomp:
		return wrong("%s, where nothing has QoS 2", names[kind])
	case kind != connack && kind != puback && kind != suback && kind != unsuback && kind != pingresp:
		return wrong("a packet of type %d, which no broker sends", kind)
	case flags != 0:
		return wrong("%s with flags %#x", names[kind], flags)
	}
	return nil
}

// fits checks the length of a packet that is no message.
func fits(kind byte, rest int) error {
	switch {
	case kind == suback && rest > 2, kind == pingresp && rest == 0, kind != suback && kind != pingresp && rest == 2:
		return nil
	}
	return wrong("%s of %d bytes", names[kind], rest)
}

// answer checks a whole packet that is no message, and reports whether nothing
// waits for it.
func (c *Conn) answer(kind byte, b []byte) (idle bool, err error) {
	switch kind {
	case connack:
		c.greeted = true
		return false, welcome(b[0], b[1])
	case puback:
		return !c.asked.answered(kind, number(b)), nil
	case suback:
		for _, code := range b[2:] {
			if code > 2 && code < 0x80 { // some brokers refuse with the codes of MQTT 5
				return false, wrong("SUBACK with code %#x", code)
			}
		}
		c.asked.answered(kind, number(b)) // it was found before
	case unsuback:
		if id := number(b); !c.asked.answered(kind, id) {
			return false, unasked(kind, id)
		}
	}
	return false, nil
}

// welcome checks what a CONNACK says.
func welcome(present, code byte) error {
	switch {
	case code > 5:
		return refusal(code)
	case present > 1 || present == 1 && code != 0:
		return wrong("CONNACK with flags %#x and code %d", present, code)
	}
	return nil
}

// message checks a PUBLISH, up to its payload.
func (c *Conn) message(b []byte, head, rest int) (verdict, error) {
	if rest > c.most {
		return verdict{}, fmt.Errorf("the broker sends a message that is too long: clear that retained message (%d bytes, at most %d are taken)", rest, c.most)
	}
	if rest < 2 {
		return verdict{}, wrong("a message of %d bytes", rest)
	}
	if len(b) < head+2 {
		return verdict{size: head + 2}, nil
	}
	topic := int(number(b[head:]))
	before := 2 + topic
	acknowledged := b[0]&6 != 0
	if acknowledged {
		before += 2
	}
	if topic == 0 || before > rest {
		return verdict{}, wrong("a message of %d bytes with a topic of %d", rest, topic)
	}
	size := head + before
	if size > len(b) {
		return verdict{size: size}, nil
	}
	name := b[head+2 : head+2+topic]
	switch {
	case !utf8.Valid(name) || bytes.IndexByte(name, 0) >= 0:
		return verdict{}, message(name, "is no text in UTF-8")
	case bytes.ContainsAny(name, "+#"):
		return verdict{}, message(name, "has a wildcard")
	case acknowledged && number(b[size-2:]) == 0:
		return verdict{}, message(name, "has QoS 1 and no id")
	}
	return verdict{size: size, payload: rest - before}, nil
}

// number reads two bytes.
func number(b []byte) uint16 { return binary.BigEndian.Uint16(b) }
