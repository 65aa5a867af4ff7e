// Package packet checks what a broker sends before an MQTT library reads it.
//
// The library trusts its peer: it indexes a SUBACK's codes unchecked, it
// allocates whatever length a packet names, up to 256 MB, and it takes any
// acknowledgement for that of whatever has its id. A Conn hands out only whole,
// legal packets of MQTT 3.1.1 with QoS 0 or 1, and ends with a Violation where
// one is not. It does not look at payloads, nor does it keep them.
package packet

import (
	"errors"
	"fmt"
	"io"
	"net"
	"slices"
	"sync"
	"sync/atomic"
	"time"
)

const (
	// readAhead is the room for headers and small packets.
	readAhead = 1 << 10
	// maxHeader is the most that a PUBLISH has before its payload: a fixed
	// header, a topic and an id.
	maxHeader = 5 + 2 + 65535 + 2
	// patience is how long one packet may take on its way out.
	patience = time.Minute
)

// A Conn is a connection to a broker on which only legal packets arrive.
// One goroutine may read and any number may write; each write is one packet.
type Conn struct {
	net.Conn
	most    int    // bytes of a packet after its fixed header
	in      []byte // what was read ahead
	next    int    // in[next:checked] may be handed out
	checked int
	payload int // bytes after in[:checked] that may be handed out, too
	greeted bool
	writing sync.Mutex
	asked   questions
	broken  atomic.Pointer[Violation]
}

// Guard returns conn with what arrives on it checked. A message may have a
// payload of maxPayload bytes.
func Guard(conn net.Conn, maxPayload int) *Conn {
	c := &Conn{Conn: conn, most: maxPayload + maxHeader, in: make([]byte, 0, readAhead)}
	c.asked.open, c.asked.done = map[uint16]question{}, sync.NewCond(&c.asked.mu)
	return c
}

// Err returns the Violation that ended the reading, or nil.
func (c *Conn) Err() error {
	if v := c.broken.Load(); v != nil {
		return v
	}
	return nil
}

// Read hands out what was checked. Its error is a Violation where the broker
// sent what it may not send, and that of the connection otherwise.
func (c *Conn) Read(p []byte) (int, error) {
	if err := c.Err(); err != nil || len(p) == 0 {
		return 0, err
	}
	for c.next == c.checked {
		if c.payload > 0 && c.checked == len(c.in) {
			n, err := c.Conn.Read(p[:min(len(p), c.payload)])
			c.payload -= n
			return n, err
		}
		if err := c.advance(); err != nil {
			return 0, err
		}
	}
	n := copy(p, c.in[c.next:c.checked])
	c.next += n
	return n, nil
}

// advance checks more of what was read ahead, or reads more ahead. It is called
// when all that was checked has been handed out.
func (c *Conn) advance() error {
	if c.payload > 0 {
		n := min(c.payload, len(c.in)-c.checked)
		c.checked, c.payload = c.checked+n, c.payload-n
		return nil
	}
	rest := c.in[c.checked:]
	is, err := c.judge(rest)
	if err != nil {
		v, is := err.(*Violation)
		if !is {
			v = &Violation{text: err.Error()}
		}
		c.broken.Store(v)
		return v
	}
	if is.size > len(rest) {
		return c.fill(is.size)
	}
	c.checked, c.payload = c.checked+is.size, is.payload
	if is.idle {
		c.next = c.checked
	}
	return nil
}

// fill reads ahead, with room for size bytes that are not checked yet.
func (c *Conn) fill(size int) error {
	rest := c.in[c.checked:]
	c.next, c.checked = 0, 0
	if len(rest) == 0 && cap(c.in) > 4*readAhead { // after a long topic
		c.in = make([]byte, 0, readAhead)
	}
	c.in = slices.Grow(c.in[:copy(c.in[:cap(c.in)], rest)], max(0, size-len(rest)))
	for range 100 {
		n, err := c.Conn.Read(c.in[len(c.in):cap(c.in)])
		c.in = c.in[:len(c.in)+n]
		if n > 0 {
			return nil // an error comes again
		}
		if err != nil {
			return err
		}
	}
	return io.ErrNoProgress
}

// Write sends one packet, and notes what the broker may answer to it. A broker
// that takes nothing in for a minute ends the connection: the library gives no
// time limit to what is no message, and its pings would wait behind that.
func (c *Conn) Write(p []byte) (int, error) {
	id, err := c.asked.note(p)
	if err != nil {
		if errors.Is(err, errUnanswered) {
			c.Close()
		}
		return 0, err
	}
	n, err := c.send(p)
	if id != 0 {
		c.asked.written(id, err)
	}
	return n, err
}

func (c *Conn) send(p []byte) (int, error) {
	c.writing.Lock()
	defer c.writing.Unlock()
	if err := c.Conn.SetWriteDeadline(time.Now().Add(patience)); err != nil {
		return 0, err
	}
	n, err := c.Conn.Write(p)
	if err == nil { // else its timer would wake the processor later; that a connection is closed shows anyway
		_ = c.Conn.SetWriteDeadline(time.Time{})
	}
	if err != nil && late(err) {
		err = fmt.Errorf("the broker does not take in what it is sent: check its load, and the network to it: %w", err)
		c.Conn.Close()
	}
	return n, err
}

func late(err error) bool {
	var of net.Error
	return errors.As(err, &of) && of.Timeout()
}

// Close ends the connection, and what waits to be sent.
func (c *Conn) Close() error {
	c.asked.close()
	return c.Conn.Close()
}

// SetWriteDeadline does nothing: each write has a time limit of its own, and
// the library's would end those of others.
func (c *Conn) SetWriteDeadline(time.Time) error { return nil }
