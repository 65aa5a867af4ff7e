// Package fence makes an error of a panic, so that what a peer sends ends one
// request, one step or one session, and never the process.
//
// It is for code that reads what others wrote, and for goroutines, which nobody
// above them can recover. It mends nothing: what the code held is let go only
// by its own defers.
package fence

import (
	"errors"
	"fmt"
	"log/slog"
	"runtime/debug"
	"sync"
)

// A Panic is a panic as an error.
type Panic struct {
	Value any
	Stack []byte // where it was
}

func (p *Panic) Error() string {
	return fmt.Sprintf("panic: %v (a bug in ratchet: please report it)", p.Value)
}

// Call calls f and returns its error, or its panic as a *Panic.
func Call(f func() error) (err error) {
	defer func() {
		if v := recover(); v != nil {
			err = &Panic{v, debug.Stack()}
		}
	}()
	return f()
}

// Log logs what happened where err is a panic, with its stack, and reports
// whether it is.
func Log(log *slog.Logger, err error, what string, args ...any) bool {
	var p *Panic
	if !errors.As(err, &p) {
		return false
	}
	if log != nil {
		log.Error(what, append(args, "err", p.Value, "stack", string(p.Stack))...)
	}
	return true
}

// A Group is goroutines that are waited for. Fail gets the panic of each that
// has one; it may be called by several at once.
type Group struct {
	Fail func(*Panic)
	all  sync.WaitGroup
}

// Go calls f in a goroutine of its own.
func (g *Group) Go(f func()) {
	g.all.Go(func() {
		err := Call(func() error { f(); return nil })
		if p := new(Panic); errors.As(err, &p) {
			g.Fail(p)
		}
	})
}

// Wait returns when all have ended.
func (g *Group) Wait() { g.all.Wait() }
