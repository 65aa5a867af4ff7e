package local

import (
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"io/fs"
	"net"
	"syscall"
)

// Call asks the agent that listens at path, and gives every value of its
// answer to each. It returns when the answer is complete, each fails or ctx
// ends; an error that the agent answers is returned as it is.
func Call(ctx context.Context, path string, r Request, each func(json.RawMessage) error) error {
	line, err := json.Marshal(r)
	switch {
	case err != nil:
		return err
	case len(line) >= maxRequest:
		return fmt.Errorf("the request has %d bytes: at most %d are taken", len(line), maxRequest-1)
	}
	conn, err := dialLocal(ctx, path)
	if err != nil {
		return err
	}
	defer conn.Close()
	defer context.AfterFunc(ctx, func() { conn.Close() })()
	// An agent that refuses does not read to the end, but says why.
	_, unsent := conn.Write(append(line, '\n'))
	err = readAnswer(conn, each)
	switch {
	case ctx.Err() != nil && err != nil:
		return context.Cause(ctx)
	case unsent != nil && errors.Is(err, errNoAnswer):
		return fmt.Errorf("asking ratchetd: %w", unsent)
	}
	return err
}

// ErrSilent says that no agent listens: nothing was asked of it.
var ErrSilent = errors.New("no ratchetd answers")

var errNoAnswer = errors.New("ratchetd ended before it had answered: see its log")

func readAnswer(conn net.Conn, each func(json.RawMessage) error) error {
	for lines := json.NewDecoder(conn); ; {
		var r reply
		err := lines.Decode(&r)
		switch {
		case errors.Is(err, io.EOF), errors.Is(err, io.ErrUnexpectedEOF), errors.Is(err, syscall.ECONNRESET):
			return errNoAnswer
		case err != nil:
			return fmt.Errorf("reading ratchetd's answer: %w", err)
		case r.Error != "":
			return errors.New(r.Error)
		case r.Done:
			return nil
		}
		if err := each(r.Value); err != nil {
			return err
		}
	}
}

func dialLocal(ctx context.Context, path string) (net.Conn, error) {
	name, done, err := shortName(path)
	if err != nil {
		return nil, unreachable(path, err)
	}
	defer done()
	conn, err := new(net.Dialer).DialContext(ctx, "unix", name)
	if err != nil {
		return nil, unreachable(path, err)
	}
	return conn, nil
}

func unreachable(path string, err error) error {
	switch {
	case errors.Is(err, fs.ErrNotExist), errors.Is(err, syscall.ECONNREFUSED):
		return fmt.Errorf("%w at %s: start it, or name its config with --config", ErrSilent, path)
	case errors.Is(err, fs.ErrPermission):
		return fmt.Errorf("no access to %s: only root and the user that ratchetd runs as may ask it", path)
	}
	return fmt.Errorf("reaching ratchetd: %w", err)
}

// LinkOf asks the daemon with this state directory how its link is, if it runs.
func LinkOf(ctx context.Context, state string) (l LinkStatus, runs bool) {
	var s Status
	err := Call(ctx, Path(state), Request{Do: "status"}, func(v json.RawMessage) error {
		return json.Unmarshal(v, &s)
	})
	return s.Link, err == nil
}

// Runs reports whether the daemon with this state directory does.
func Runs(ctx context.Context, state string) bool {
	_, runs := LinkOf(ctx, state)
	return runs
}
