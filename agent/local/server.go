// Package local is the agent's unix socket: the server, the client, and what they
// say to each other. It answers nothing itself.
package local

import (
	"bufio"
	"cmp"
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"io/fs"
	"log/slog"
	"net"
	"os"
	"path/filepath"
	"sync"
	"syscall"
	"time"

	"github.com/ratchetd/ratchet/agent/dialect"
	"github.com/ratchetd/ratchet/executor"
	"github.com/ratchetd/ratchet/executor/fence"
)

// Bounds of the local socket. A request may be as long as a payload of the
// link; the connections are for one operator's shells, not for a service.
const (
	maxRequest     = dialect.MaxPayload + 1<<10
	maxConnections = 8
)

// Path is where the agent with this state directory listens.
func Path(state string) string { return filepath.Join(state, "ratchet.sock") }

// Request is what a program on this device asks of the agent: one a
// connection, in one line of JSON.
type Request struct {
	Do   string `json:"do"`             // status, jobs, job, submit, cancel or watch
	ID   string `json:"id,omitempty"`   // of a job
	Text string `json:"text,omitempty"` // of submit and a signed cancel: a payload, as over the link
}

// reply is one line of an answer: a value of any number, then done or an error.
type reply struct {
	Value json.RawMessage `json:"value,omitempty"`
	Error string          `json:"error,omitempty"`
	Done  bool            `json:"done,omitempty"`
}

// A Server answers on the unix socket. It has one instance per state directory:
// whoever runs it holds the agent's lock.
type Server struct {
	Path string
	// Answer answers one request: it says any number of values and returns. ctx ends
	// when the client leaves or the agent stops. Requests are answered at the same
	// time.
	Answer func(ctx context.Context, r Request, say func(any) error) error
	Log    *slog.Logger

	patience time.Duration // for a client to send its request, or to take a line; 0: 10 s
}

// Run listens until ctx ends, and returns when the last connection is closed.
func (l *Server) Run(ctx context.Context) error {
	listener, err := listenLocal(l.Path)
	if err != nil {
		return fmt.Errorf("opening the local socket: %w", err)
	}
	defer os.Remove(l.Path)
	defer context.AfterFunc(ctx, func() { listener.Close() })()
	var open sync.WaitGroup
	defer open.Wait()
	room := make(chan struct{}, maxConnections)
	for {
		conn, err := listener.AcceptUnix()
		switch {
		case ctx.Err() != nil:
			return nil
		case err != nil: // out of descriptors, perhaps: that passes
			l.Log.Warn("accepting a local connection", "err", err)
			pause(ctx, time.Second)
			continue
		}
		select {
		case room <- struct{}{}:
			open.Go(func() {
				l.serve(ctx, conn)
				<-room
			})
		default:
			l.hangUp(conn, fmt.Errorf("busy: %d programs are being answered; try again", maxConnections))
		}
	}
}

func pause(ctx context.Context, d time.Duration) {
	select {
	case <-ctx.Done():
	case <-time.After(d):
	}
}

func (l *Server) serve(agent context.Context, conn *net.UnixConn) {
	ctx, cancel := context.WithCancel(agent)
	defer cancel()
	// Only reading is ended: what is left to say still goes out.
	defer context.AfterFunc(ctx, func() { conn.CloseRead() })()
	err := fence.Call(func() error { return l.answer(ctx, cancel, conn) })
	fence.Log(l.Log, err, "a local request panicked")
	if err != nil && agent.Err() != nil {
		err = errors.New("ratchetd is stopping: ask again when it runs")
	}
	l.hangUp(conn, err)
}

func (l *Server) answer(ctx context.Context, cancel func(), conn *net.UnixConn) error {
	if err := checkPeer(conn); err != nil {
		return err
	}
	r, err := l.readRequest(conn)
	if err != nil {
		return fmt.Errorf("reading the request: %w", err)
	}
	var left sync.WaitGroup
	defer left.Wait()
	defer conn.CloseRead()
	left.Go(func() {
		io.Copy(io.Discard, conn) // ends when the client does
		cancel()
	})
	return l.Answer(ctx, r, func(v any) error {
		value, err := json.Marshal(v)
		if err != nil {
			return err
		}
		return l.send(conn, reply{Value: value})
	})
}

func (l *Server) readRequest(conn net.Conn) (Request, error) {
	var r Request
	conn.SetReadDeadline(time.Now().Add(cmp.Or(l.patience, 10*time.Second)))
	defer conn.SetReadDeadline(time.Time{})
	line, err := bufio.NewReader(io.LimitReader(conn, maxRequest+1)).ReadBytes('\n')
	switch {
	case len(line) > maxRequest:
		return r, fmt.Errorf("at most %d bytes are taken", maxRequest)
	case err != nil && !(errors.Is(err, io.EOF) && len(line) > 0):
		return r, err
	}
	return r, executor.Decode(line, &r)
}

func (l *Server) send(conn net.Conn, r reply) error {
	line, err := json.Marshal(r)
	if err != nil {
		return err
	}
	conn.SetWriteDeadline(time.Now().Add(cmp.Or(l.patience, 10*time.Second)))
	_, err = conn.Write(append(line, '\n'))
	return err
}

// hangUp says how the answer ended. A client that has left does not hear it.
func (l *Server) hangUp(conn *net.UnixConn, err error) {
	last := reply{Done: true}
	if err != nil {
		last = reply{Error: err.Error()}
	}
	_ = l.send(conn, last)
	conn.Close()
}

func listenLocal(path string) (*net.UnixListener, error) {
	if err := removeStale(path); err != nil {
		return nil, err
	}
	name, done, err := shortName(path)
	if err != nil {
		return nil, err
	}
	defer done()
	listener, err := net.ListenUnix("unix", &net.UnixAddr{Name: name, Net: "unix"})
	if err != nil {
		return nil, err
	}
	listener.SetUnlinkOnClose(false) // by then the short name is gone
	if err := os.Chmod(path, 0o600); err != nil {
		listener.Close()
		return nil, err
	}
	return listener, nil
}

// removeStale takes away the socket of an agent that was killed, and nothing else.
func removeStale(path string) error {
	info, err := os.Lstat(path)
	switch {
	case errors.Is(err, fs.ErrNotExist):
		return nil
	case err != nil:
		return err
	case info.Mode().Type() != fs.ModeSocket:
		return fmt.Errorf("%s is in the way and no socket: move it elsewhere", path)
	}
	return os.Remove(path)
}

// shortName is a name for path that fits into a socket address. A long one is
// reached through its directory's descriptor, which must stay open until done.
func shortName(path string) (name string, done func(), err error) {
	if len(path) < len(syscall.RawSockaddrUnix{}.Path) {
		return path, func() {}, nil
	}
	dir, err := os.Open(filepath.Dir(path))
	if err != nil {
		return "", nil, err
	}
	return fmt.Sprintf("/proc/self/fd/%d/%s", dir.Fd(), filepath.Base(path)), func() { dir.Close() }, nil
}

// checkPeer lets in root and the agent's own user, whatever became of the
// socket's mode.
func checkPeer(conn *net.UnixConn) error {
	raw, err := conn.SyscallConn()
	if err != nil {
		return err
	}
	var peer *syscall.Ucred
	var failure error
	err = raw.Control(func(fd uintptr) {
		peer, failure = syscall.GetsockoptUcred(int(fd), syscall.SOL_SOCKET, syscall.SO_PEERCRED)
	})
	if err := errors.Join(err, failure); err != nil {
		return fmt.Errorf("asking who is there: %w", err)
	}
	if peer.Uid != 0 && peer.Uid != uint32(os.Getuid()) {
		return errors.New("only root and the user that ratchetd runs as may ask it")
	}
	return nil
}
