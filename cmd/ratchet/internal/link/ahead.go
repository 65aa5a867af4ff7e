package link

import (
	"net"
	"sync"
)

// maxAhead is how many bytes are taken off the network before anybody has looked
// at them.
const maxAhead = 256 << 20

// An ahead is a connection that is read as fast as bytes come. A broker gives all
// that is retained in one go, and mosquitto drops what the connection of a slow
// reader cannot hold: 3,700 of 10,000 statuses, on a busy computer.
type ahead struct {
	net.Conn
	start sync.Once
	mu    sync.Mutex
	moved sync.Cond // a piece was put, or taken
	read  [][]byte  // what waits
	held  int       // bytes of it
	most  int       // of held
	err   error     // of the reading, behind all that waits
	ended bool
}

func readAhead(conn net.Conn) *ahead {
	a := &ahead{Conn: conn, most: maxAhead}
	a.moved.L = &a.mu
	return a
}

// Read takes what has come.
func (a *ahead) Read(p []byte) (int, error) {
	a.start.Do(func() { go a.run() })
	a.mu.Lock()
	defer a.mu.Unlock()
	for len(a.read) == 0 && a.err == nil {
		a.moved.Wait()
	}
	if len(a.read) == 0 {
		return 0, a.err
	}
	n := copy(p, a.read[0])
	a.held -= n
	if a.read[0] = a.read[0][n:]; len(a.read[0]) == 0 {
		a.read[0] = nil
		a.read = a.read[1:]
	}
	a.moved.Broadcast()
	return n, nil
}

// run reads until the connection ends or is closed.
func (a *ahead) run() {
	buffer := make([]byte, 256<<10)
	for {
		n, err := a.Conn.Read(buffer)
		if !a.put(buffer[:n], err) {
			return
		}
	}
}

// put takes a piece in, once there is room for it. It reports whether more is
// wanted.
func (a *ahead) put(piece []byte, err error) bool {
	a.mu.Lock()
	defer a.mu.Unlock()
	for a.held > a.most && !a.ended {
		a.moved.Wait()
	}
	if len(piece) > 0 {
		a.read = append(a.read, append([]byte(nil), piece...))
		a.held += len(piece)
	}
	if a.err = err; a.ended && err == nil {
		a.err = net.ErrClosed
	}
	a.moved.Broadcast()
	return a.err == nil
}

// Close ends the connection and the reading.
func (a *ahead) Close() error {
	a.mu.Lock()
	a.ended = true
	a.moved.Broadcast()
	a.mu.Unlock()
	return a.Conn.Close()
}
