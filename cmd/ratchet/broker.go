package main

import (
	"fmt"
	"log/slog"

	broker "github.com/mochi-mqtt/server/v2"
	"github.com/mochi-mqtt/server/v2/hooks/auth"
	"github.com/mochi-mqtt/server/v2/listeners"
)

// startBroker starts a broker that keeps all in memory and lets everybody in,
// on a free port of the loopback interface.
func startBroker() (url string, stop func(), err error) {
	b := broker.New(&broker.Options{Logger: slog.New(slog.DiscardHandler)})
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
