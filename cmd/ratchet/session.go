package main

import (
	"context"
	"errors"
	"fmt"
	"io"

	"github.com/ratchetd/ratchet/cmd/ratchet/internal/fleet"
	"github.com/ratchetd/ratchet/cmd/ratchet/internal/link"
	"github.com/ratchetd/ratchet/cmd/ratchet/internal/screen"
	"github.com/ratchetd/ratchet/executor/fence"
)

// Exit codes.
const (
	exitDone = iota
	exitError
	exitUsage
	exitJobFailed
	exitNobody
)

// usageError is a command line that cannot be meant; it ends with exit code 2.
type usageError struct{ error }

// errJobFailed says that the tool did its work but the job did not succeed
// everywhere; what there is to say has been printed.
var errJobFailed = errors.New("the job did not succeed everywhere")

// errNobody says that nobody of those to whom the job was sent has answered; what
// there is to say has been printed.
var errNobody = errors.New("nobody has answered")

// A session is one run of the tool.
type session struct {
	in       io.Reader
	out, err *screen.Screen
	link     link.Options
	begun    bool // the command line was understood
}

func (s *session) exitCode(err error) int {
	var usage usageError
	var bug *fence.Panic
	switch {
	case err == nil:
		return exitDone
	case errors.As(err, &bug):
		fmt.Fprintf(s.err, "ratchet: %v\n%s", err, bug.Stack)
		return exitError
	case errors.Is(err, errJobFailed):
		return exitJobFailed
	case errors.Is(err, errNobody):
		return exitNobody
	case errors.As(err, &usage) || !s.begun:
		fmt.Fprintf(s.err, "ratchet: %v\nRun 'ratchet help' for what it takes.\n", err)
		return exitUsage
	case errors.Is(err, context.Canceled):
		fmt.Fprintln(s.err, "ratchet: stopped")
		return exitError
	}
	fmt.Fprintf(s.err, "ratchet: %v\n", err)
	return exitError
}

// dial checks the options of the connection and opens it.
func (s *session) dial(ctx context.Context) (*link.Client, error) {
	if err := s.ready(); err != nil {
		return nil, err
	}
	return link.Connect(ctx, s.link)
}

// leftOut says what of the fleet was left out, beside what a command prints.
func (s *session) leftOut(f *fleet.Fleet) {
	for _, line := range f.LeftOut() {
		fmt.Fprintf(s.err, "ratchet: %s\n", screen.Line(line))
	}
}

// notes says beside what a command prints what was left out of the fleet, and which
// devices are half there.
func (s *session) notes(f *fleet.Fleet) {
	s.leftOut(f)
	half := f.HalfCleared()
	for _, id := range half[:min(len(half), maxNamed)] {
		fmt.Fprintf(s.err, "ratchet: %s has left a part of what a device leaves: 'ratchet forget %s' clears the rest, if it is gone\n", id, id)
	}
	if more := len(half) - maxNamed; more > 0 {
		fmt.Fprintf(s.err, "ratchet: and %d more that have\n", more)
	}
}

// readFleet connects, reads what is retained of these parts, and leaves again.
func (s *session) readFleet(ctx context.Context, parts ...fleet.Part) (*fleet.Fleet, error) {
	c, err := s.dial(ctx)
	if err != nil {
		return nil, err
	}
	defer c.Close()
	f, err := fleet.Read(ctx, c, parts...)
	if err == nil {
		s.notes(f)
	}
	return f, err
}
