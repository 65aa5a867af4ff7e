package agent

import (
	"bytes"
	"errors"
	"io"
	"net"
	"testing"
	"testing/iotest"
)

type fromReader struct {
	net.Conn
	io.Reader
}

func (f fromReader) Read(p []byte) (int, error) { return f.Reader.Read(p) }

// Packets pass as they are, in pieces of any size, unless one is too long.
func TestAPacketThatIsTooLongIsNotRead(t *testing.T) {
	good := append([]byte{0x30, 0x85, 0x01}, bytes.Repeat([]byte{0x82}, 133)...) // 133 bytes
	stream := bytes.Repeat(append(good, 0xD0, 0x00), 50)                         // and a ping's answer
	for _, pieces := range []func(io.Reader) io.Reader{iotest.OneByteReader, iotest.HalfReader, func(r io.Reader) io.Reader { return r }} {
		got, err := io.ReadAll(&boundedConn{Conn: fromReader{Reader: pieces(bytes.NewReader(stream))}})
		if err != nil || !bytes.Equal(got, stream) {
			t.Errorf("got %d of %d bytes, %v", len(got), len(stream), err)
		}
		long := append(bytes.Clone(stream), 0x31, 0xff, 0xff, 0xff, 0x7f)
		if _, err := io.ReadAll(&boundedConn{Conn: fromReader{Reader: pieces(bytes.NewReader(long))}}); !errors.Is(err, errTooLong) {
			t.Errorf("a packet of 256 MB: got %v", err)
		}
	}
}
