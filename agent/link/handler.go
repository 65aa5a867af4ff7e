// Package link keeps one MQTT connection to the broker: it dials, says who is
// there, subscribes, brings what comes in order and acknowledges it once it is
// decided. What a message means is the dialect's business, and what follows from
// it the Handler's: the link knows neither jobs nor policy.
package link

import (
	"context"

	"github.com/ratchetd/ratchet/agent/dialect"
)

// A Handler is what the link needs of the agent.
type Handler interface {
	// Handle decides one event, in the order in which they came. When it returns,
	// what was decided is durable, or will be decided again when the retained
	// message comes again: the message is acknowledged then. It must not wait for
	// the network.
	Handle(ctx context.Context, s *Session, e dialect.Event)
	// Remember makes what this device once told durable, in a journal that is new.
	Remember(past []dialect.JobStatus) error
	// Facts is what this device says of itself, as JSON: the same bytes as long as
	// nothing has changed.
	Facts() []byte
	// Hold says that offers are about to come in no order: none begins before Settled.
	Hold()
	// Connected says that the device can be reached. lost: the broker may have lost
	// what was told before, so all of it is to be told again.
	Connected(lost bool)
	// Settled says that the job topics are quiet, so that no cancel is behind its
	// job, or that nobody answered when a connection was first tried. seen are the ids
	// that a full subscribe brought; nil where there was none.
	Settled(seen map[string]bool)
}
