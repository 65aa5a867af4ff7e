package main

import (
	"bufio"
	"encoding/binary"
	"errors"
	"fmt"
	"io"
	"net"
)

// An export is a disk as the NBD protocol serves it.
// Source: https://github.com/NetworkBlockDevice/nbd/blob/master/doc/proto.md
type export interface {
	size() int64
	read(at int64, n int) ([]byte, error)
	write(at int64, text []byte, through bool) error
	flush()
}

// Magic numbers, options and replies of the protocol.
const (
	nbdMagic    = 0x4e42444d41474943
	nbdHaveOpt  = 0x49484156454f5054
	nbdOptReply = 0x3e889045565a9
	nbdRequest  = 0x25609513
	nbdReply    = 0x67446698

	optAbort = 2
	optGo    = 7

	repAck         = 1
	repInfo        = 3
	repUnsupported = 1<<31 | 1

	cmdRead  = 0
	cmdWrite = 1
	cmdLeave = 2
	cmdFlush = 3
	flagFUA  = 1

	errInput = 22
	// flags: has flags, takes flush and FUA.
	nbdFlags = 1 | 4 | 8
	mostData = 64 << 20
)

// serve serves the exports by name until the listener is closed.
func serve(l net.Listener, exports map[string]export) {
	for {
		c, err := l.Accept()
		if err != nil {
			return
		}
		go func() {
			defer c.Close()
			_ = converse(c, exports) // a machine that lost its power says nothing more
		}()
	}
}

// A talk is one client's connection.
type talk struct {
	r   *bufio.Reader
	w   *bufio.Writer
	err error
}

func (t *talk) get(v any) {
	if t.err == nil {
		t.err = binary.Read(t.r, binary.BigEndian, v)
	}
}

func (t *talk) put(v ...any) {
	for _, each := range v {
		if t.err == nil {
			t.err = binary.Write(t.w, binary.BigEndian, each)
		}
	}
}

func (t *talk) bytes(n uint32) []byte {
	if n > mostData {
		t.err = errors.Join(t.err, fmt.Errorf("%d bytes in one piece", n))
	}
	if t.err != nil {
		return nil
	}
	b := make([]byte, n)
	_, t.err = io.ReadFull(t.r, b)
	return b
}

func (t *talk) flush() {
	if t.err == nil {
		t.err = t.w.Flush()
	}
}

func converse(c net.Conn, exports map[string]export) error {
	t := &talk{r: bufio.NewReader(c), w: bufio.NewWriter(c)}
	t.put(uint64(nbdMagic), uint64(nbdHaveOpt), uint16(1|2))
	t.flush()
	var flags uint32
	t.get(&flags)
	e := t.choose(exports)
	for t.err == nil && e != nil {
		e = t.answer(e)
	}
	return t.err
}

// choose haggles until the client has chosen an export; nil if it leaves.
func (t *talk) choose(exports map[string]export) export {
	for t.err == nil {
		var head struct {
			Magic       uint64
			Option, Len uint32
		}
		t.get(&head)
		data := t.bytes(head.Len)
		reply := func(kind uint32, data []byte) {
			t.put(uint64(nbdOptReply), head.Option, kind, uint32(len(data)), data)
		}
		switch {
		case t.err != nil:
		case head.Magic != nbdHaveOpt:
			t.err = errors.New("no option")
		case head.Option == optGo && len(data) >= 6:
			name := string(data[4:min(len(data), 4+int(binary.BigEndian.Uint32(data)))])
			e := exports[name]
			if e == nil {
				t.err = fmt.Errorf("no export %q", name)
				return nil
			}
			info := binary.BigEndian.AppendUint64([]byte{0, 0}, uint64(e.size()))
			reply(repInfo, binary.BigEndian.AppendUint16(info, nbdFlags))
			reply(repAck, nil)
			t.flush()
			return e
		case head.Option == optAbort:
			reply(repAck, nil)
			t.flush()
			return nil
		default:
			reply(repUnsupported, nil)
			t.flush()
		}
	}
	return nil
}

// answer answers one request; nil once the client leaves.
func (t *talk) answer(e export) export {
	var q struct {
		Magic      uint32
		Flags, Cmd uint16
		Handle, At uint64
		Len        uint32
	}
	t.get(&q)
	if t.err == nil && q.Magic != nbdRequest {
		t.err = errors.New("no request")
	}
	var text []byte
	var failed error
	switch {
	case t.err != nil || q.Cmd == cmdLeave:
		return nil
	case q.Cmd == cmdRead:
		text, failed = e.read(int64(q.At), int(q.Len))
	case q.Cmd == cmdWrite:
		if in := t.bytes(q.Len); t.err == nil {
			failed = e.write(int64(q.At), in, q.Flags&flagFUA != 0)
		}
	case q.Cmd == cmdFlush:
		e.flush()
	default:
		failed = errors.ErrUnsupported
	}
	code := uint32(0)
	if failed != nil {
		code, text = errInput, nil
	}
	t.put(uint32(nbdReply), code, q.Handle, text)
	t.flush()
	return e
}
