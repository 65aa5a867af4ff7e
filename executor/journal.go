package executor

import "errors"

// ErrReplaced is Put's error for a Record that is not the journal's any more:
// another job came in its place before it began, it was withdrawn, or the device
// learned that it is over.
var ErrReplaced = errors.New("the journal has another job in its place, or none")

// Journal keeps Records. Put is durable when it returns nil, and may block while
// the disk is busy. A Put that fails has changed nothing and may be tried again,
// but for ErrReplaced: nothing is to follow from that Record any more.
type Journal interface {
	Put(Record) error
}
