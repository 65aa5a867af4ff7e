package config

import (
	"fmt"
	"net/url"
	"slices"
	"strings"

	"github.com/ratchetd/ratchet/agent/dialect"
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

// keySlot is the one whose secret never leaves the device.
const keySlot = "link.key"

func (l *Link) slots() []slot {
	return []slot{{"link.passwordFile", &l.PasswordFile}, {"link.sasKeyFile", &l.SASKeyFile}, {keySlot, &l.Key}}
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
	c.Link.Broker = dialect.BrokerAddress(c.Link.Broker)
	for i, b := range c.Link.Fallback {
		c.Link.Fallback[i] = dialect.BrokerAddress(b)
	}
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
// given for, or nil. before is the configuration in force, or nil. What that knows for
// another broker must be named again, in the file that names this one.
func (c *Config) GivenFor(before *Config) error {
	to := peerAt(c.Link.Broker)
	for _, s := range c.Link.slots() {
		file := *s.value
		moved := before != nil && before.Link.Broker != "" && before.names(file) && !before.gave(file, to, false)
		switch {
		case file == "" || !moved && c.gave(file, to, false):
		case !c.gave(file, to, moved):
			return fmt.Errorf("link.broker: %s was given for another broker than %s: where it is meant for this one too, name it again beside link.broker, in the same file", s.key, c.Link.Broker)
		case s.key != keySlot && len(c.Policy.Keys) == 0 && c.Policy.URLs == nil:
			// A private key is never sent. Of the others whoever sends settings could
			// name the file again, whose words he cannot read.
			return fmt.Errorf("link.broker: %s was given for another broker than %s, and neither policy.urls nor policy.keys says who may change that: set one of them in ratchet.toml, or name a new file", s.key, c.Link.Broker)
		}
	}
	return nil
}

// names reports whether a file of the configuration names that one for a secret.
func (c *Config) names(file string) bool {
	return slices.ContainsFunc(c.given, func(g gift) bool { return g.file == file })
}

// gave reports whether a secret was given for a peer; directly, if one file of the
// configuration must name both.
func (c *Config) gave(file string, to peer, directly bool) bool {
	return slices.ContainsFunc(c.given, func(g gift) bool {
		return g.file == file && g.to.mayBe(to) && (g.direct || !directly)
	})
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
