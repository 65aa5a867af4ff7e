package hub

import (
	"context"
	"crypto/tls"
	"errors"
	"io"
	"log/slog"
	"net"
	"net/http"
	"time"

	"github.com/gorilla/websocket"
	"github.com/mochi-mqtt/server/v2/listeners"
)

// webPath is where MQTT over websockets is served [sdk].
const webPath = "/$iothub/websocket"

// web listens for websockets. The broker's own listener takes any path.
type web struct {
	hub    *Hub
	listen net.Listener
	server *http.Server
}

func (w *web) ID() string       { return "web" }
func (w *web) Address() string  { return w.hub.Web }
func (w *web) Protocol() string { return "ws" }

func (w *web) Init(*slog.Logger) error {
	l, err := net.Listen("tcp", w.hub.Web)
	if err != nil {
		return err
	}
	w.hub.Web = l.Addr().String()
	if w.hub.TLS != nil {
		l = tls.NewListener(l, w.hub.TLS)
	}
	w.listen = l
	return nil
}

func (w *web) Serve(establish listeners.EstablishFn) {
	upgrade := websocket.Upgrader{Subprotocols: []string{"mqtt"}}
	mux := http.NewServeMux()
	mux.HandleFunc(webPath, func(rw http.ResponseWriter, r *http.Request) {
		c, err := upgrade.Upgrade(rw, r, nil)
		if err != nil {
			return
		}
		defer c.Close()
		conn := &webConn{Conn: c.UnderlyingConn(), c: c}
		if r.TLS != nil {
			conn.tls = *r.TLS
		}
		_ = establish(w.ID(), conn) // how a connection ended is in Drops
	})
	w.server = &http.Server{Handler: mux, ReadHeaderTimeout: 10 * time.Second}
	_ = w.server.Serve(w.listen) // until Close
}

func (w *web) Close(end listeners.CloseFn) {
	ctx, cancel := context.WithTimeout(context.Background(), time.Second)
	defer cancel()
	_ = w.server.Shutdown(ctx)
	end(w.ID())
}

// webConn is the bytes within a websocket's binary messages.
type webConn struct {
	net.Conn
	c   *websocket.Conn
	tls tls.ConnectionState
	r   io.Reader // of the message under way
}

func (w *webConn) Read(p []byte) (int, error) {
	for {
		if w.r == nil {
			kind, r, err := w.c.NextReader()
			if err != nil {
				return 0, err
			}
			if kind != websocket.BinaryMessage {
				return 0, errors.New("want binary messages")
			}
			w.r = r
		}
		n, err := w.r.Read(p)
		if errors.Is(err, io.EOF) {
			w.r, err = nil, nil
			if n == 0 {
				continue
			}
		}
		return n, err
	}
}

func (w *webConn) Write(p []byte) (int, error) {
	if err := w.c.WriteMessage(websocket.BinaryMessage, p); err != nil {
		return 0, err
	}
	return len(p), nil
}
