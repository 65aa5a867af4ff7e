package config

import (
	"fmt"

	"github.com/ratchetd/ratchet/agent/dialect"
	"github.com/ratchetd/ratchet/agent/dialect/aws"
	"github.com/ratchetd/ratchet/agent/dialect/azure"
	"github.com/ratchetd/ratchet/agent/dialect/plain"
	"github.com/ratchetd/ratchet/executor/step/process"
)

// Dialect is how this device speaks, with its broker.
func (c *Config) Dialect() dialect.Dialect {
	switch c.Link.Dialect {
	case "aws":
		return c.awsDialect()
	case "azure":
		return azure.Dialect{Device: c.Device}
	}
	return plain.Dialect{Root: c.Link.Root, Device: c.Device, Groups: c.Groups}
}

// aws is how this device speaks with AWS IoT.
func (c *Config) awsDialect() aws.Dialect {
	tags := map[string]string{}
	for name, value := range c.Tags {
		tags[name] = fmt.Sprint(value)
	}
	return aws.Dialect{Thing: c.Device, Tags: tags, Handlers: c.AWS.Handlers, Replies: c.AWS.Replies,
		Defender: c.AWS.Defender > 0, Handler: HandlerFile, User: process.KnownUser}
}

// Right names what a policy of AWS must allow for a topic.
func (c *Config) Right(action, topic string) string {
	if c.Link.Dialect != "aws" {
		return ""
	}
	return " (" + action + topic + ")"
}
