package fetch

import (
	"net"
	"strings"
	"testing"
	"time"
)

// An endless header filled 29 MB of memory before it was given up.
func TestAnEndlessHeaderIsNotRead(t *testing.T) {
	l, err := net.Listen("tcp", "127.0.0.1:0")
	if err != nil {
		t.Fatal(err)
	}
	defer l.Close()
	const enough = 8 << 20 // the kernel keeps some of it
	sent := make(chan int, 1)
	go func() {
		defer close(sent)
		c, err := l.Accept()
		if err != nil {
			return
		}
		defer c.Close()
		if _, err := c.Read(make([]byte, 1<<10)); err != nil { // an answer that was not asked for is another fault
			return
		}
		n, err := c.Write([]byte("HTTP/1.1 200 OK\r\n"))
		for line := []byte("X-A: " + strings.Repeat("b", 1<<12) + "\r\n"); err == nil && n < enough; {
			var more int
			more, err = c.Write(line)
			n += more
		}
		sent <- n
	}()
	resp, err := NewClient(time.Now).Get("http://" + l.Addr().String())
	if err == nil {
		resp.Body.Close()
	}
	if err == nil || !strings.Contains(err.Error(), "exceeded 65536 bytes") {
		t.Errorf("got %v", err)
	}
	if n := <-sent; n >= enough {
		t.Errorf("%d bytes were taken", n)
	}
}
