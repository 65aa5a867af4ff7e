package agent

import (
	"fmt"
	"io/fs"
	"os"
	"path/filepath"

	"github.com/ratchetd/ratchet/agent/dialect/aws"
	"github.com/ratchetd/ratchet/executor/step/process"
)

// aws is how this device speaks with AWS IoT.
func (a *Agent) aws(c *Config) aws.Dialect {
	tags := map[string]string{}
	for name, value := range c.Tags {
		tags[name] = fmt.Sprint(value)
	}
	return aws.Dialect{Thing: c.Device, Tags: tags, Handlers: c.AWS.Handlers, Replies: c.AWS.Replies,
		Defender: c.AWS.Defender > 0, Handler: handlerFile, User: process.KnownUser}
}

// handlerFile tells whether a file is there that may be run as a job handler.
// One that others can change, or exchange for another, would let them run what
// they like as this agent.
func handlerFile(path string) (bool, error) {
	info, err := os.Stat(path)
	if err != nil || !info.Mode().IsRegular() {
		return false, nil // the step says what is wrong with it
	}
	if err := ownOnly(info, path); err != nil {
		return false, err
	}
	dirs := []string{filepath.Dir(path)}
	if real, err := filepath.EvalSymlinks(path); err == nil {
		dirs = append(dirs, filepath.Dir(real))
	}
	for _, dir := range dirs {
		if folder, err := os.Stat(dir); err == nil && folder.Mode()&fs.ModeSticky == 0 {
			if err := ownOnly(folder, dir); err != nil {
				return false, err
			}
		}
	}
	return true, nil
}

// ownProgram says why others could have changed a program, or nil.
func ownProgram(path string) error {
	_, err := handlerFile(path)
	return err
}

// right names what a policy of AWS must allow for a topic.
func (c *Config) right(action, topic string) string {
	if c.Link.Dialect != "aws" {
		return ""
	}
	return " (" + action + topic + ")"
}
