// Package broker is a broker in this process, for the demo and for tests.
package broker

import (
	"fmt"
	"log/slog"

	mochi "github.com/mochi-mqtt/server/v2"
	"github.com/mochi-mqtt/server/v2/hooks/auth"
	"github.com/mochi-mqtt/server/v2/listeners"
)

// Start starts a broker that keeps all in memory and lets everybody in,
// on a free port of the loopback interface.
func Start() (url string, stop func(), err error) {
	b := mochi.New(&mochi.Options{Logger: slog.New(slog.DiscardHandler)})
	if err := b.AddHook(new(auth.AllowHook), nil); err != nil {
		return "", nil, fmt.Errorf("starting the broker: %w", err)
	}
	l := listeners.NewTCP(listeners.Config{ID: "tcp", Address: "127.0.0.1:0"})
	if err := b.AddListener(l); err != nil {
		return "", nil, fmt.Errorf("starting the broker: %w", err)
	}
	if err := b.Serve(); err != nil {
		return "", nil, fmt.Errorf("starting the broker: %w", err)
	}
	return "tcp://" + l.Address(), func() { _ = b.Close() }, nil
}
