package config

import (
	"errors"
	"fmt"
	"slices"
	"time"
)

const (
	maxFallback = 8

	minKeepAlive = 5 * time.Second
	maxKeepAlive = 65535 * time.Second // all that a packet can say
)

// Brokers are the addresses to try, in turn. Those of link.fallback are for the
// broker that ratchet.toml names, or leaves to conf.d: another one, which conf.d names
// over it, has none.
func (c *Config) Brokers() []string {
	if c.ownBroker != "" && c.ownBroker != c.Link.Broker {
		return []string{c.Link.Broker}
	}
	return append([]string{c.Link.Broker}, c.Link.Fallback...)
}

// At is the configuration with another broker. Its secrets go there too: who may name
// one in ratchet.toml gave them for it.
func (c *Config) At(broker string) *Config {
	at := *c
	at.Link.Broker = broker
	return &at
}

// keepFallback has only ratchet.toml name other brokers: a secret is sent to each.
func (c *Config) keepFallback(file string, before []string) error {
	if slices.Equal(c.Link.Fallback, before) {
		return nil
	}
	return fmt.Errorf("%s: link.fallback: it may stand in ratchet.toml only", file)
}

func (l *Link) checkFallback() error {
	var errs []error
	if len(l.Fallback) > maxFallback {
		errs = append(errs, fmt.Errorf("link.fallback: there are %d: at most %d are taken", len(l.Fallback), maxFallback))
	}
	for _, b := range l.Fallback {
		errs = append(errs, checkBroker("link.fallback", b))
	}
	if k := time.Duration(l.KeepAlive); k != 0 && k < minKeepAlive || k > maxKeepAlive {
		errs = append(errs, fmt.Errorf("link.keepAlive: want %s to %s", minKeepAlive, maxKeepAlive))
	}
	return errors.Join(errs...)
}
