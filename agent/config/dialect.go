package config

import (
	"fmt"
	"net/url"
	"os"
	"strings"
	"time"

	"github.com/ratchetd/ratchet/agent/dialect"
	"github.com/ratchetd/ratchet/agent/dialect/aws"
	"github.com/ratchetd/ratchet/agent/dialect/azure"
	"github.com/ratchetd/ratchet/agent/dialect/plain"
	"github.com/ratchetd/ratchet/executor/step/process"
)

// A spoken is one dialect: the service that it is for, and how it is made from
// a configuration.
type spoken struct {
	dialect.Service
	speak func(*Config) dialect.Dialect
}

// dialects are the values of link.dialect. This is the one place that names them.
var dialects = map[string]spoken{
	plain.Service.Name: {plain.Service, func(c *Config) dialect.Dialect {
		return plain.Dialect{Root: c.Link.Root, Device: c.Device, Groups: c.Groups}
	}},
	aws.Service.Name: {aws.Service, func(c *Config) dialect.Dialect {
		return aws.Dialect{Thing: c.Device, Tags: c.tagTexts(), Handlers: c.AWS.Handlers, Replies: c.AWS.Replies,
			Defender: c.AWS.Defender > 0, Handler: HandlerFile, User: process.KnownUser}
	}},
	azure.Service.Name: {azure.Service, func(c *Config) dialect.Dialect { return azure.Dialect{Device: c.Device} }},
}

// Dialect is how this device speaks with its broker.
func (c *Config) Dialect() dialect.Dialect { return c.spoken().speak(c) }

// Service is what the dialect knows of the service before there is a connection.
func (c *Config) Service() dialect.Service { return c.spoken().Service }

// spoken is the dialect that link.dialect names. A value that names none is an
// error of ValidateLink; until then it is taken for any MQTT broker.
func (c *Config) spoken() spoken {
	if d, ok := dialects[c.Link.Dialect]; ok {
		return d
	}
	return dialects[plain.Service.Name]
}

// ServiceAt is the service that is found at the broker's address, or an MQTT broker.
func ServiceAt(broker string) dialect.Service {
	host := broker
	if u, err := url.Parse(broker); err == nil && u.Hostname() != "" {
		host = u.Hostname()
	}
	for _, d := range dialects {
		for _, end := range d.Hosts {
			if strings.HasSuffix(host, end) {
				return d.Service
			}
		}
	}
	return plain.Service
}

func (c *Config) tagTexts() map[string]string {
	tags := map[string]string{}
	for name, value := range c.Tags {
		tags[name] = fmt.Sprint(value)
	}
	return tags
}

// settings are those that the service has a say in.
func (c *Config) settings() dialect.Settings {
	l := c.Link
	return dialect.Settings{Device: c.Device, Broker: l.Broker, Hub: l.Hub, Username: l.Username, Cert: l.Cert != "",
		Password: l.PasswordFile != "", Key: l.SASKeyFile != "", TokenLife: time.Duration(l.TokenLife)}
}

// Address is where to connect.
func (c *Config) Address() string {
	address, _ := c.Service().Find(c.settings())
	return address
}

// Login is made again for each connection: a password may be good for some time only.
func (c *Config) Login(now time.Time) (dialect.Login, error) {
	key, path := "link.passwordFile", c.Link.PasswordFile
	if c.Service().Key {
		key, path = "link.sasKeyFile", c.Link.SASKeyFile
	}
	secret := ""
	if path != "" {
		text, err := os.ReadFile(path)
		if err != nil {
			return dialect.Login{}, fmt.Errorf("%s: %w", key, err)
		}
		secret = strings.TrimRight(string(text), "\r\n")
	}
	return c.Service().Login(c.settings(), secret, now)
}

// ExplainDenied adds to err, of a right that was not granted, what may be behind it.
func (c *Config) ExplainDenied(err error) error {
	if why := c.Service().Denied; why != "" {
		return fmt.Errorf("%w (%s)", err, why)
	}
	return err
}

// ExplainRefused adds to err, of a login that was refused, what may be behind it.
func (c *Config) ExplainRefused(err error, now time.Time) error {
	return fmt.Errorf("%s: %w", c.Service().Refused(now), err)
}
