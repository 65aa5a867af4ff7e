package config

import (
	"fmt"
	"net/url"
	"slices"
	"strings"
)

// A gift is a file with a secret of the link, and the broker that the owner gave it
// for. What it holds is sent to whatever broker is named, so it counts which.
type gift struct {
	file   string
	to     peer // the zero value: no broker was named yet
	direct bool // one file of the configuration names both
}

// A peer is who hears what is sent: a host, and whoever is on the way to it where
// that is not encrypted.
type peer struct {
	host  string
	plain bool
}

func peerAt(broker string) peer {
	u, err := url.Parse(broker)
	if err != nil {
		return peer{}
	}
	return peer{host: strings.ToLower(u.Hostname()), plain: u.Scheme == "tcp" || u.Scheme == "ws"}
}

// mayBe reports whether what was given for p may be sent to another.
func (p peer) mayBe(other peer) bool { return p.host == other.host && (p.plain || !other.plain) }

// A slot is a key of the configuration that names a file with a secret.
type slot struct {
	key   string
	value *string
}

func (l *Link) slots() []slot {
	return []slot{{"link.passwordFile", &l.PasswordFile}, {"link.sasKeyFile", &l.SASKeyFile}, {"link.key", &l.Key}}
}

// notSet is what no file of the configuration says.
const notSet = "\x00"

// readNoting is read, and notes which secrets that file gives for which broker.
func (c *Config) readNoting(file string, text []byte, forbidden ...string) error {
	before := c.Link
	c.Link.Broker = notSet
	for _, s := range c.Link.slots() {
		*s.value = notSet
	}
	err := c.read(file, text, forbidden...)
	names := c.Link.Broker != notSet
	if !names {
		c.Link.Broker = before.Broker
	}
	was := before.slots()
	for i, s := range c.Link.slots() {
		set := *s.value != notSet
		if !set {
			*s.value = *was[i].value
		}
		c.give(*s.value, set, names)
	}
	return err
}

// give notes what a file of the configuration says of one secret: whether it sets
// it, and whether it names a broker. A secret that came before any broker is for
// the first one that is named without another secret. One that is known is
// given for another broker only by a file that names both.
func (c *Config) give(file string, set, names bool) {
	to := peerAt(c.Link.Broker)
	known := slices.IndexFunc(c.given, func(g gift) bool { return g.file == file })
	switch {
	case file == "":
	case set && names:
		c.given = append(c.given, gift{file, to, true})
	case set && known < 0:
		c.given = append(c.given, gift{file: file, to: to})
	case names && known >= 0 && c.given[known].to == peer{}:
		c.given[known].to = to
	}
}

// GivenFor says which secret of the link would be sent to a broker that it was not
// given for, or nil. before is the configuration in force, or nil: what it knows
// of a secret counts, unless one file names both broker and secret.
func (c *Config) GivenFor(before *Config) error {
	to := peerAt(c.Link.Broker)
	for _, s := range c.Link.slots() {
		if file := *s.value; file != "" && !c.gave(file, to, before) {
			return fmt.Errorf("link.broker: %s was given for another broker than %s: where it is meant for this one too, name it again beside link.broker, in the same file", s.key, c.Link.Broker)
		}
	}
	return nil
}

func (c *Config) gave(file string, to peer, before *Config) bool {
	gave := func(c *Config, ok func(gift) bool) bool {
		return slices.ContainsFunc(c.given, func(g gift) bool { return g.file == file && ok(g) })
	}
	toIt := func(g gift) bool { return g.to.mayBe(to) }
	switch {
	case gave(c, func(g gift) bool { return g.direct && toIt(g) }):
		return true
	case !gave(c, toIt):
		return false
	}
	return before == nil || gave(before, toIt) || !gave(before, func(g gift) bool { return g.to != peer{} })
}

// MayConnect says why the policy does not allow the broker, or nil. One that
// ratchet.toml itself names is the owner's word.
func (c *Config) MayConnect() error {
	if c.Link.Broker == c.ownBroker {
		return nil
	}
	if err := c.StepPolicy().URL(c.Link.Broker); err != nil {
		return fmt.Errorf("link.broker: %w: add it there, in ratchet.toml, if this device may log in to it", err)
	}
	return nil
}
