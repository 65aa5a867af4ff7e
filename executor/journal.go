package executor

// Journal keeps Records. Put is durable when it returns nil, and may block while
// the disk is busy. A Put that fails has changed nothing and may be tried again.
type Journal interface {
	Put(Record) error
}
