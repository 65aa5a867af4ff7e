package executor

// Journal keeps Records. Put must not return nil before the Record is on disk,
// and may block while the disk is busy; a Put that fails has changed nothing
// and may be tried again.
type Journal interface {
	Put(Record) error
}
