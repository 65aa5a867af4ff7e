package firmware

import (
	"bytes"
	"cmp"
	"context"
	"errors"
	"fmt"
	"io"
	"log/slog"
	"strings"
	"sync"
	"time"

	"github.com/ratchetd/ratchet/executor"
	"github.com/ratchetd/ratchet/executor/step/process"
	"github.com/ratchetd/ratchet/updater"
)

// run runs a program for the board.
func (s *flashing) run(ctx context.Context, c updater.Call) (updater.Answer, error) {
	if c.Detach {
		return updater.Answer{}, s.detach(ctx, c)
	}
	out, errs := &capped{most: updater.MaxAnswer}, &capped{most: 4 << 10}
	lastOut, lastErr := &process.Tail{Most: 512}, &process.Tail{Most: 512}
	stdout, stderr := io.MultiWriter(out, lastOut), io.MultiWriter(errs, lastErr)
	if c.Line != nil {
		tell := inTurn(c.Line)
		stdout = io.MultiWriter(stdout, &lineWriter{tell: tell}, s.t.Output)
		stderr = io.MultiWriter(stderr, &lineWriter{tell: tell}, s.t.Err)
	}
	x := process.Tool{Argv: c.Argv, Env: c.Env, In: c.Stdin, Stdout: stdout}
	status, err := x.Status(ctx, s.t, s.Groups, stderr)
	if err == nil && status.Signaled() {
		err = process.Judge(status, nil)
	}
	said := cmp.Or(lastErr.LastLine(), lastOut.LastLine())
	if err != nil { // somebody may still write
		return updater.Answer{Said: said, Code: status.ExitStatus()}, err
	}
	return updater.Answer{Out: out.String(), Err: errs.String(), Said: said, Code: status.ExitStatus()}, nil
}

// detach runs a program that ends this one by rebooting the device. How it ends
// itself says nothing once it has begun: the reboot may still be on its way.
func (s *flashing) detach(ctx context.Context, c updater.Call) error {
	err := process.Detached(ctx, s.t, c.Argv, c.Env)
	if errors.Is(err, executor.ErrStopped) || ctx.Err() != nil {
		return err
	}
	if err != nil && !strings.Contains(err.Error(), c.Begins) {
		return err
	}
	wait := s.Patience
	if wait == 0 {
		wait = 2 * time.Minute
	}
	if waited := executor.Sleep(ctx, s.t.Stopping, wait); waited != nil {
		return waited
	}
	return err
}

// capped keeps the beginning of what is written to it.
type capped struct {
	bytes.Buffer
	most int
}

func (c *capped) Write(p []byte) (int, error) {
	_, _ = c.Buffer.Write(p[:min(len(p), max(0, c.most-c.Len()))]) // a Buffer's never fails
	return len(p), nil
}

// inTurn is tell for both outputs of a program, which come from goroutines of their own.
func inTurn(tell func(string)) func(string) {
	var mu sync.Mutex
	return func(line string) {
		mu.Lock()
		defer mu.Unlock()
		tell(line)
	}
}

// lineWriter passes on the whole lines of one output, of which a carriage return ends one
// too.
type lineWriter struct {
	tell func(string)
	part []byte
}

func (l *lineWriter) Write(p []byte) (int, error) {
	l.part = append(l.part, p...)
	for {
		end := bytes.IndexAny(l.part, "\n\r")
		if end < 0 {
			break
		}
		l.tell(string(l.part[:end]))
		l.part = l.part[end+1:]
	}
	if len(l.part) > updater.MaxAnswer {
		l.part = nil
	}
	return len(p), nil
}

// Overview says what this board has to write firmware with, and what speaks
// against it.
func (k Kind) Overview(ctx context.Context) []string {
	name := k.Board.Found()
	if name == "" {
		return []string{"firmware: this board has none of " + strings.Join(updater.Backends(), ", ")}
	}
	ctx, cancel := context.WithTimeout(ctx, 10*time.Second)
	defer cancel()
	s, err := k.begin(ctx, &executor.Task{Output: io.Discard, Err: io.Discard, Log: slog.New(slog.DiscardHandler)}, firmwareWith{})
	var now updater.System
	if err == nil {
		now, err = s.backend.State(ctx)
	}
	if err != nil {
		return []string{fmt.Sprintf("firmware: %s, which does not work: %v", name, err)}
	}
	line := "firmware: " + name + ", runs " + now.Version()
	if now.Slot != "" {
		line += " in " + now.Slot
	}
	lines := []string{line}
	if !s.backend.Slots {
		lines = append(lines, "firmware: there is no way back on this board: "+s.backend.Why)
	}
	if s.backend.Pending != nil {
		if why, err := s.backend.Pending(ctx); err == nil && why != "" {
			lines = append(lines, "firmware: another job is refused without force: "+why)
		}
	}
	for _, text := range append(s.Board.Deciders(s.backend), s.inSlot()...) {
		lines = append(lines, "firmware: "+text)
	}
	return lines
}
