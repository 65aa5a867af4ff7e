package websocket

import (
	"bytes"
	"context"
	"crypto/tls"
	"crypto/x509"
	"io"
	"net"
	"net/http"
	"net/http/httptest"
	"strings"
	"testing"
	"time"

	"github.com/gorilla/websocket"
)

// serve answers over WebSocket with what f sends.
func serve(f func(*websocket.Conn)) http.Handler {
	return http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		up := websocket.Upgrader{Subprotocols: []string{"mqtt"}}
		if ws, err := up.Upgrade(w, r, nil); err == nil {
			defer ws.Close()
			f(ws)
		}
	})
}

func dial(t *testing.T, url string, config *tls.Config) (net.Conn, error) {
	t.Helper()
	ctx, cancel := context.WithTimeout(t.Context(), time.Minute)
	defer cancel()
	return Dial(ctx, "ws"+strings.TrimPrefix(url, "http"), config)
}

// Frames of any size, empty ones too, are one stream in either direction, over
// TLS as well, and longer than the bound of the handshake.
func TestFramesAreAStream(t *testing.T) {
	text := bytes.Repeat([]byte("0123456789"), maxHandshake/5)
	echo := serve(func(ws *websocket.Conn) {
		_, got, err := ws.ReadMessage()
		for size := 0; err == nil && len(got) > 0; size = 2*size + 1 {
			n := min(size, len(got))
			err = ws.WriteMessage(websocket.BinaryMessage, got[:n])
			got = got[n:]
		}
	})
	plain, secure := httptest.NewServer(echo), httptest.NewTLSServer(echo)
	defer plain.Close()
	defer secure.Close()
	roots := x509.NewCertPool()
	roots.AddCert(secure.Certificate())
	for _, server := range []*httptest.Server{plain, secure} {
		c, err := dial(t, server.URL, &tls.Config{RootCAs: roots})
		if err != nil {
			t.Fatal(err)
		}
		if _, err := c.Write(text); err != nil {
			t.Fatal(err)
		}
		got := make([]byte, len(text))
		if _, err := io.ReadFull(c, got); err != nil || !bytes.Equal(got, text) {
			t.Errorf("%s: got %d bytes, %v", server.URL, len(got), err)
		}
		c.Close()
	}
}

func TestAServerIsRefused(t *testing.T) {
	for name, test := range map[string]struct {
		handler http.Handler
		want    string
	}{
		"no WebSocket": {http.NotFoundHandler(), "answers 404 Not Found to a request for a WebSocket: check the path"},
		"text": {serve(func(ws *websocket.Conn) {
			_ = ws.WriteMessage(websocket.TextMessage, []byte("x")) // a failure shows at the other end
		}), "text frames"},
	} {
		server := httptest.NewServer(test.handler)
		c, err := dial(t, server.URL, nil)
		if err == nil {
			_, err = c.Read(make([]byte, 1))
			c.Close()
		}
		if err == nil || !strings.Contains(err.Error(), test.want) {
			t.Errorf("%s: got %v, want %q", name, err, test.want)
		}
		server.Close()
	}
}

// A header without an end filled the memory of the device.
func TestAnEndlessHeaderIsNotRead(t *testing.T) {
	l, err := net.Listen("tcp", "127.0.0.1:0")
	if err != nil {
		t.Fatal(err)
	}
	defer l.Close()
	const most = 64 << 20 // of which the kernel keeps some
	sent := make(chan int, 1)
	go func() {
		c, err := l.Accept()
		if err != nil {
			return
		}
		defer c.Close()
		n, _ := c.Write([]byte("HTTP/1.1 101 Switching Protocols\r\n"))
		for line := []byte("X-A: " + strings.Repeat("b", 1<<16) + "\r\n"); err == nil && n < most; {
			var more int
			more, err = c.Write(line)
			n += more
		}
		sent <- n
	}()
	if _, err := dial(t, "http://"+l.Addr().String(), nil); err != errEndless {
		t.Errorf("got %v, want %v", err, errEndless)
	}
	if n := <-sent; n >= most {
		t.Errorf("%d bytes were taken", n)
	}
}
