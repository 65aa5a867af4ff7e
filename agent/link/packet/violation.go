package packet

import "fmt"

// A Violation is what the broker sent although MQTT 3.1.1 does not allow it, or
// this program did not ask for it, and what to do about it. The connection
// that it came on is of no more use.
type Violation struct {
	text string
	// Refused is the code of a CONNACK that refuses the connection, where it is one
	// that MQTT 3.1.1 does not have; otherwise 0.
	Refused byte
}

func (v *Violation) Error() string { return v.text }

// wrong is a violation that only another broker, or another version of it, ends.
func wrong(format string, args ...any) error {
	return fmt.Errorf("the broker breaks the rules of MQTT: it sent "+format+": update or replace it", args...)
}

// refusal is a CONNACK with a code that MQTT 3.1.1 does not have. AWS IoT and
// brokers of MQTT 5 refuse so.
func refusal(code byte) error {
	return &Violation{fmt.Sprintf("the broker refuses the connection with code %d: check the credentials and the broker's log", code), code}
}

func unasked(kind byte, id uint16) error {
	return wrong("%s with id %d, under which nothing waits for it", names[kind], id)
}

// message is a violation by one message, which may lie at the broker.
func message(topic []byte, format string, args ...any) error {
	const shown = 100
	return fmt.Errorf("the broker sends a message on topic %.*q that "+format+": clear it if it is retained, else update the broker", append([]any{shown, topic}, args...)...)
}
