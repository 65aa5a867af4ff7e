package store

import (
	"time"

	"github.com/ratchetd/ratchet/executor"
)

// A Journal is what of a DB must be durable before anything follows from it. Each
// method returns when its change is on disk, or an error when nothing is. It is an
// interface so that tests can cut the power there.
type Journal interface {
	executor.Journal
	Accept(executor.Record) (Verdict, error)
	Cancel(id string, signed time.Time) error
	ReadBack([]Past) error
	Replace(executor.Record) (bool, error)
	Withdraw(key string) (bool, error)
}
