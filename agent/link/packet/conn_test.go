package packet

import (
	"bytes"
	"errors"
	"io"
	"net"
	"strings"
	"testing"
	"testing/iotest"
)

// A pipe reads from a reader, and takes what is written.
type pipe struct {
	net.Conn
	io.Reader
}

func (p pipe) Read(b []byte) (int, error)  { return p.Reader.Read(b) }
func (p pipe) Write(b []byte) (int, error) { return len(b), nil }

var (
	greeting = []byte{0x20, 2, 0, 0}
	pieces   = map[string]func(io.Reader) io.Reader{
		"one byte": iotest.OneByteReader, "half": iotest.HalfReader, "all": func(r io.Reader) io.Reader { return r }, "end with the last byte": iotest.DataErrReader}
)

// Packets pass as they are, in pieces of any size, unless one is too long.
func TestLegalPacketsPassAsTheyAre(t *testing.T) {
	long := append([]byte{0x31, 0x80 | 0x02, 0x20, 0, 1, 't'}, bytes.Repeat([]byte{0x82}, 4095)...)
	topic := append([]byte{0x32, 0x80 | 0x04, 0x80 | 0x7f, 3, 0xff, 0x7e}, append(bytes.Repeat([]byte{'t'}, 0xff7e), 0, 7, 1, 2)...)
	stream := append(bytes.Clone(greeting), bytes.Repeat(bytes.Join([][]byte{long, {0xD0, 0}, topic, {0x30, 3, 0, 1, 't'}}, nil), 5)...)
	for name, cut := range pieces {
		got, err := io.ReadAll(Guard(pipe{Reader: cut(bytes.NewReader(stream))}, 1<<16))
		if err != nil || !bytes.Equal(got, stream) {
			t.Errorf("%s: got %d of %d bytes, %v", name, len(got), len(stream), err)
		}
		c := Guard(pipe{Reader: cut(bytes.NewReader(append(bytes.Clone(stream), 0x31, 0xff, 0xff, 0xff, 0x7f)))}, 1<<16)
		got, err = io.ReadAll(c)
		if v := new(Violation); !errors.As(err, &v) || !strings.Contains(err.Error(), "too long") || c.Err() != err || !bytes.Equal(got, stream) {
			t.Errorf("%s: a packet of 256 MB: got %d bytes and %v", name, len(got), err)
		}
	}
}
